//! `memoman record`: what a program does is in its trace, counted exactly, however it ends.

mod common;

use common::{Recording, allocations, build, events, frees, memoman, run, work};
use memoman_trace::{Cut, Ended, Kind};

#[test]
fn threads_are_recorded_in_full() {
    let recording = Recording::work(&[], &["threads"]).succeeded();
    let trace = recording.trace();
    assert_eq!(trace.header().ended, Ended::Complete);
    assert_eq!(trace.header().lost, 0);
    assert_eq!(trace.header().exit, Some(0));
    assert_eq!(trace.header().args[1..], ["threads"]);
    let events = events(&trace);
    for size in 1001..1005 {
        assert_eq!(allocations(&events, size), 10_000);
        assert_eq!(frees(&events, size), 10_000);
        let threads: std::collections::HashSet<u32> = events
            .iter()
            .filter(|e| e.size == size)
            .map(|e| e.thread)
            .collect();
        assert_eq!(threads.len(), 1);
    }
}

#[test]
fn short_threads_share_chunks() {
    let recording = Recording::work(&[], &["short"]).succeeded();
    let trace = recording.trace();
    let events = events(&trace);
    assert_eq!(allocations(&events, 1002), 16_000);
    assert_eq!(frees(&events, 1002), 16_000);
    assert!(trace.bytes() < 1 << 20, "{} bytes", trace.bytes());
    let last = events.iter().map(|e| e.thread).max();
    assert_eq!(last, Some(1600));
}

#[test]
fn each_call_is_told_apart() {
    let recording = Recording::work(&[], &["kinds"]).succeeded();
    let events = events(&recording.trace());
    let of = |kind: Kind, size: u64| {
        let found: Vec<_> = events
            .iter()
            .filter(|e| e.kind == kind && e.size == size)
            .collect();
        assert_eq!(found.len(), 1, "{kind:?} {size}");
        *found[0]
    };
    let first = of(Kind::Malloc, 1003);
    let second = of(Kind::Realloc, 2003);
    assert_eq!(second.old, first.pointer);
    let third = of(Kind::Realloc, 900_003);
    assert_eq!(third.old, second.pointer);
    let fourth = of(Kind::Realloc, 3003);
    let failed: Vec<_> = events.iter().filter(|e| e.kind == Kind::Failed).collect();
    // A wrong alignment is no refusal.
    assert_eq!(failed.len(), 3);
    assert_eq!(
        (failed[0].old, failed[0].size),
        (fourth.pointer, u64::MAX / 2)
    );
    assert_eq!((failed[1].old, failed[1].size), (0, u64::MAX));
    assert_eq!((failed[2].old, failed[2].size), (0, u64::MAX / 2));
    // realloc to 0 frees.
    assert!(
        events
            .iter()
            .any(|e| e.kind == Kind::Free && e.old == fourth.pointer)
    );
    of(Kind::Malloc, 1005);
    of(Kind::Calloc, 1005);
    for (size, align) in [(1007, 64), (1280, 128), (1009, 4096), (1011, 4096)] {
        let aligned = of(Kind::Memalign, size);
        assert_eq!(aligned.align, align);
        assert_eq!(aligned.pointer % align, 0);
    }
    for size in [3003, 1005, 1007, 1280, 1009, 1011] {
        assert!(frees(&events, size) >= 1, "{size}");
    }
}

#[test]
fn a_full_disk_cuts_the_trace_and_not_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let tool = env!("CARGO_BIN_EXE_memoman");
    let recorder = common::recorder().display();
    let record = format!(
        "{tool} record --recorder {recorder} -o t.mmt -- {} many goeson",
        work().display()
    );
    let mount = "mount -t tmpfs -o size=300k none . && cd .";
    let run_in = |shell: &str| {
        let mut command = std::process::Command::new("unshare");
        command
            .args(["-rm", "sh", "-c", shell])
            .current_dir(folder.path());
        run(&mut command)
    };
    let limited = format!("ulimit -f 300; {record}");
    let full = format!("{mount} $PWD && {record} && cat t.mmt >&3");
    let out = folder.path().join("full.mmt");
    let full = format!("exec 3>{}; {full}", out.display());
    for (shell, path, why) in [
        (limited, folder.path().join("t.mmt"), Cut::FileLimit),
        (full, out, Cut::DiskFull),
    ] {
        let output = run_in(&shell);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "went on\n");
        assert!(errors.contains("the trace ends early: cut:"), "{errors}");
        let trace = memoman_trace::Trace::open(path).unwrap();
        assert_eq!(trace.header().ended, Ended::Cut(why));
        let events = events(&trace);
        assert!(allocations(&events, 1017) > 10_000);
        assert!(!trace.is_whole());
    }
}

#[test]
fn signal_handlers_are_recorded() {
    let bump = build("bump.c", "bump.so", &["-shared", "-fPIC", "-fno-builtin"]);
    let work = work();
    let program = [work.to_str().unwrap(), "handlers"];
    let recording = Recording::new(&[], &program, &[&bump]).succeeded();
    let signals: usize = String::from_utf8_lossy(&recording.output.stdout)
        .trim()
        .parse()
        .unwrap();
    let trace = recording.trace();
    let events: Vec<_> = trace.events().collect::<Result<_, _>>().unwrap();
    assert_eq!(allocations(&events, 1006), 300_000);
    assert_eq!(allocations(&events, 1005), signals);
    assert_eq!(trace.header().lost, 0);
    assert!(signals > 100);
}

#[test]
fn operators_are_recorded_once() {
    let program = build(
        "operators.cpp",
        "operators",
        &["-std=c++17", "-fno-builtin"],
    );
    let bump = build("bump.c", "bump2.so", &["-shared", "-fPIC", "-fno-builtin"]);
    let mut behind = vec![vec![], vec![bump.as_path()]];
    let shim = std::env::var_os("MEMOMAN_SHIM").map(std::path::PathBuf::from);
    behind.extend(shim.as_deref().map(|shim| vec![shim]));
    for behind in behind {
        let recording = Recording::new(&[], &[program.to_str().unwrap()], &behind).succeeded();
        assert_eq!(
            String::from_utf8_lossy(&recording.output.stdout),
            "caught\n"
        );
        let events = events(&recording.trace());
        for size in [1021, 1022, 2042, 1152] {
            assert_eq!(allocations(&events, size), 1000, "{behind:?} {size}");
            assert_eq!(frees(&events, size), 1000, "{behind:?} {size}");
        }
        assert!(
            events
                .iter()
                .any(|e| e.kind == Kind::Failed && e.size > 1 << 60)
        );
    }
}

#[test]
fn handle_heaps_are_heaps_of_their_own() {
    let library = build(
        "bump.c",
        "libhandles.so",
        &["-shared", "-fPIC", "-fno-builtin"],
    );
    let program = build("handles.c", "handles", &[library.to_str().unwrap()]);
    let recording = Recording::new(&[], &[program.to_str().unwrap()], &[]).succeeded();
    let events = events(&recording.trace());
    let of = |heap: u32, kind: Kind| {
        events
            .iter()
            .filter(|e| e.heap == heap && e.kind == kind)
            .copied()
            .collect::<Vec<_>>()
    };
    let pools = of(1, Kind::PoolAdded);
    assert_eq!((pools.len(), pools[0].size), (1, 65536));
    assert_eq!(of(1, Kind::Malloc).len(), 11);
    assert_eq!(of(1, Kind::Malloc)[0].size, 1023);
    assert_eq!(of(1, Kind::Malloc)[0].block, 1024);
    assert_eq!(of(1, Kind::Realloc)[9].size, 2023);
    assert_eq!(of(1, Kind::Free).len(), 11);
    assert_eq!(of(2, Kind::Malloc).len(), 10);
    assert_eq!(of(2, Kind::Reset).len(), 1);
    assert_eq!(of(4, Kind::Malloc)[0].size, 1024);
    assert_eq!(of(4, Kind::Free).len(), 1);
    let third: Vec<_> = events.iter().filter(|e| e.heap == 3).collect();
    let sizes: Vec<_> = third[1..].iter().map(|e| (e.kind, e.size)).collect();
    let expected = [
        (Kind::Malloc, 101),
        (Kind::Free, 0),
        (Kind::Memalign, 102),
        (Kind::Free, 0),
        (Kind::Failed, 1 << 40),
        (Kind::Malloc, 103),
    ];
    assert_eq!(sizes, expected);
}

/// Calls within the program pass the recorder by.
#[test]
fn handle_heaps_inside_the_program_are_named_as_missing() {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/bump.c");
    let program = build("handles.c", "own_handles", &["-fno-builtin", library]);
    let recording = Recording::new(&[], &[program.to_str().unwrap()], &[]);
    let errors = String::from_utf8_lossy(&recording.output.stderr);
    assert!(
        errors.contains("its own handle heaps are not in the trace"),
        "{errors}"
    );
}

#[test]
fn a_handler_that_jumps_away_leaves_the_thread_recorded() {
    let bump = build("bump.c", "bump3.so", &["-shared", "-fPIC", "-fno-builtin"]);
    let work = work();
    let program = [work.to_str().unwrap(), "jumps"];
    let recording = Recording::new(&[], &program, &[&bump]).succeeded();
    let trace = recording.trace();
    let events: Vec<_> = trace.events().collect::<Result<_, _>>().unwrap();
    assert_eq!(allocations(&events, 1027), 1000);
    assert_eq!(trace.header().lost, 0);
}

#[test]
fn stacks_name_the_callers() {
    let recording = Recording::work(&["--stacks", "16"], &["stacks"]).succeeded();
    let trace = recording.trace();
    let events = events(&trace);
    let inner: Vec<_> = events.iter().filter(|e| e.size == 1012).collect();
    let other: Vec<_> = events.iter().filter(|e| e.size == 1013).collect();
    assert_eq!((inner.len(), other.len()), (100, 100));
    let (inner, other) = (inner[0].stack, other[0].stack);
    assert!(inner != 0 && other != 0 && inner != other);
    assert!(events.iter().all(|e| e.size != 1012 || e.stack == inner));
    let program = work();
    let module = trace
        .modules()
        .iter()
        .find(|m| m.path == program.to_str().unwrap())
        .unwrap();
    let inside = |address: &u64| (module.start..module.end).contains(address);
    // inner, middle, outer, main: then the C library.
    assert_eq!(
        trace.stack(inner).iter().take_while(|a| inside(a)).count(),
        4
    );
    assert_eq!(
        trace.stack(other).iter().take_while(|a| inside(a)).count(),
        3
    );
    assert_eq!(trace.stack(inner)[0], trace.stack(other)[0]);
}

#[test]
fn libraries_may_be_unloaded_while_stacks_are_recorded() {
    let plugin = |number: usize, pad: &str| {
        build(
            "plugin.c",
            &format!("plugin{number}.so"),
            &["-shared", "-fPIC", pad],
        )
    };
    let folder = plugin(0, "-DPAD=1").parent().unwrap().to_owned();
    plugin(1, "-DPAD=5");
    let arguments = ["dlclose", folder.to_str().unwrap()];
    let recording = Recording::work(&["--stacks", "64"], &arguments).succeeded();
    let trace = recording.trace();
    let events = events(&trace);
    assert_eq!(allocations(&events, 1014), 1200);
    let plugins = trace
        .modules()
        .iter()
        .filter(|m| m.path.contains("/plugin"))
        .count();
    assert!(plugins >= 2);
    let deepest = events
        .iter()
        .filter(|e| e.size == 1014)
        .map(|e| trace.stack(e.stack).len());
    assert!(deepest.max().unwrap() >= 17);
}

/// Two files with the same code at the same address, and frames of different sizes.
#[test]
fn frames_of_an_unloaded_library_are_forgotten() {
    let plugin = |number: usize, frame: &str| {
        let name = format!("frame{number}.so");
        let options = [
            "-shared",
            "-fPIC",
            "-fomit-frame-pointer",
            "-fno-stack-protector",
        ];
        build("plugin.c", &name, &[&options[..], &[frame]].concat())
    };
    let plugins = [plugin(0, "-DFRAME=1024"), plugin(1, "-DFRAME=3072")];
    let arguments = ["frames", plugins[0].parent().unwrap().to_str().unwrap()];
    let recording = Recording::work(&["--stacks", "16"], &arguments).succeeded();
    let trace = recording.trace();
    let place = |path: &std::path::Path| {
        let mut modules = trace.modules().iter();
        modules.find(|m| m.path == path.to_str().unwrap()).unwrap()
    };
    // The stacks of both have the same addresses, so that the table has the first one alone.
    let plugin = place(&plugins[0]);
    let program = place(&work());
    let inside = |address: u64, m: &memoman_trace::Module| (m.start..m.end).contains(&address);
    let events = events(&trace);
    assert_eq!(allocations(&events, 1030), 1200);
    for event in events.iter().filter(|e| e.size == 1030) {
        // plugin, run_dlclose, main.
        let stack = trace.stack(event.stack);
        assert!(
            stack.len() >= 3
                && inside(stack[0], plugin)
                && stack[1..3].iter().all(|&address| inside(address, program)),
            "{stack:x?}"
        );
    }
}

#[test]
fn no_call_is_a_cancellation_point() {
    for options in [&[][..], &["--stacks", "16"], &["--sample", "4096"]] {
        let recording = Recording::work(options, &["cancel"]).succeeded();
        if options.first() != Some(&"--sample") {
            let events = events(&recording.trace());
            assert_eq!(allocations(&events, 1031), 50_000);
            assert_eq!(frees(&events, 1031), 50_000);
        }
    }
}

#[test]
fn the_programs_descriptors_stay_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own");
    let arguments = ["descriptors", file.to_str().unwrap()];
    let recording = Recording::work(&[], &arguments).succeeded();
    let trace = recording.trace();
    let events = events(&trace);
    assert_eq!(allocations(&events, 1016), 1_000_000);
    assert_eq!(trace.header().ended, Ended::Complete);
    assert_eq!(file.metadata().unwrap().len(), 0);
}

#[test]
fn a_sample_estimates_the_whole() {
    const MEAN: f64 = 4096.0;
    let recording = Recording::work(&["--sample", "4096"], &["sample"]).succeeded();
    let trace = recording.trace();
    assert_eq!(trace.header().sample, 4096);
    let events = events(&trace);
    let samples = allocations(&events, 64);
    let estimate = samples as f64 / (1.0 - (-64.0 / MEAN).exp());
    // 15,500 samples: a standard deviation of 0.8 %.
    assert!((0.95..1.05).contains(&(estimate / 1e6)), "{estimate}");
    assert_eq!(frees(&events, 64), samples);
    assert_eq!(allocations(&events, 1 << 20), 100);
    assert_eq!(frees(&events, 1 << 20), 100);
    assert_eq!(frees(&events, 2 << 20), 100);
}

#[test]
fn python_is_recorded() {
    let script = "import threading, os\n\
        f = lambda: [bytes(5000) for _ in range(1000)]\n\
        t = [threading.Thread(target=f) for _ in range(4)]\n\
        [x.start() for x in t]; [x.join() for x in t]\n\
        print(sum(len(bytes(3000 + i)) for i in range(100)))";
    for options in [&[][..], &["--stacks", "40"], &["--sample", "65536"]] {
        let recording = Recording::new(options, &["python3", "-c", script], &[]).succeeded();
        assert_eq!(
            String::from_utf8_lossy(&recording.output.stdout),
            "304950\n"
        );
        let trace = recording.trace();
        let events = events(&trace);
        assert!(events.len() > 50);
        if options.is_empty() {
            assert!(allocations(&events, 5033) >= 4000);
            frees(&events, 1);
        }
    }
}

#[test]
fn what_cannot_be_recorded_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let still = build("plugin.c", "static", &["-static", "-DMAIN"]);
    let other = folder.path().join("other");
    let mut bytes = std::fs::read(&still).unwrap();
    bytes[18] = 183; // AArch64
    std::fs::copy(&still, &other).unwrap(); // with its permissions
    std::fs::write(&other, bytes).unwrap();
    let foreign = folder.path().join("notes.mmt");
    std::fs::write(&foreign, "notes").unwrap();
    let output = folder.path().join("t.mmt");
    let (output, foreign) = (output.to_str().unwrap(), foreign.to_str().unwrap());
    let true_path = if std::path::Path::new("/usr/bin/true").exists() {
        "/usr/bin/true"
    } else {
        "/bin/true"
    };
    for (arguments, status, text) in [
        (
            vec!["-o", output, "--", "no-such-program"],
            1,
            "no such program",
        ),
        (
            vec!["-o", output, "--", still.to_str().unwrap()],
            1,
            "statically linked",
        ),
        (
            vec!["-o", output, "--", other.to_str().unwrap()],
            1,
            "a program of another processor",
        ),
        (
            vec!["-o", foreign, "--", "ls"],
            1,
            "is not a trace; it stays",
        ),
        (
            vec!["-o", "/no/such/folder/t.mmt", "--", "ls"],
            1,
            "no such folder",
        ),
        (
            vec!["-o", output, "--", true_path],
            1,
            "nothing was recorded",
        ),
        (
            vec!["-o", output, "--stacks", "256", "--", "ls"],
            2,
            "256 is not in 0..=255",
        ),
    ] {
        let recorder = common::recorder();
        let mut command = memoman();
        command
            .arg("record")
            .arg("--recorder")
            .arg(recorder)
            .args(&arguments);
        let output = run(&mut command);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {errors}"
        );
        assert!(errors.contains(text), "{arguments:?}: {errors}");
    }
    assert_eq!(std::fs::read_to_string(foreign).unwrap(), "notes");
}
