//! Building: the library through scripts/build-lib.sh, the C programs through the cc crate's choice
//! of compiler.

use super::process::{run, shown};
use super::variant::Variant;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, SystemTime};

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-g"];
const LIBRARIES: [&str; 3] = ["-lpthread", "-ldl", "-lm"];

/// The paths, and the libraries built so far.
pub(crate) struct Workshop {
    /// The repository.
    pub(crate) root: PathBuf,
    /// The folder of everything that the harness builds and writes.
    pub(crate) out: PathBuf,
    host: String,
    libraries: Mutex<HashMap<&'static str, Result<PathBuf, String>>>,
    /// The objects of c_tests/support, for each variant.
    objects: Mutex<HashMap<&'static str, Result<Vec<PathBuf>, String>>>,
}

impl Workshop {
    pub(crate) fn new() -> Workshop {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("tests/ has a parent")
            .to_path_buf();
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let out = target.join("c_suite");
        std::fs::create_dir_all(out.join("logs")).expect("the target directory can be written");
        let out = out.canonicalize().expect("it was just made");
        Workshop {
            root,
            out,
            host: host(),
            libraries: Mutex::default(),
            objects: Mutex::default(),
        }
    }

    /// The folder with a library's build (`libmemoman.a`, `include/` …), built once.
    pub(crate) fn library(&self, build: &'static str) -> Result<PathBuf, String> {
        let mut libraries = self.libraries.lock().expect("no build panics");
        libraries
            .entry(build)
            .or_insert_with(|| {
                let folder = self.out.join("lib").join(build);
                let mut command = Command::new(self.root.join("scripts/build-lib.sh"));
                command.arg(&folder).arg(build).current_dir(&self.root);
                let ended = run(&mut command, Duration::from_secs(900))?;
                if ended.is_success() {
                    Ok(folder)
                } else {
                    Err(ended.report(&shown(&command)))
                }
            })
            .clone()
    }

    /// A compiler command for this variant, without files.
    fn compiler(&self, compiler: Option<&str>, cpp: bool) -> Result<Command, String> {
        let mut build = cc::Build::new();
        // Outside a build script, cc needs all of these settings.
        build
            .target(&self.host)
            .host(&self.host)
            .opt_level(0)
            .out_dir(&self.out)
            .cargo_metadata(false);
        build.cpp(cpp).warnings(false).no_default_flags(true);
        if let Some(compiler) = compiler {
            build.compiler(compiler);
        }
        Ok(build
            .try_get_compiler()
            .map_err(|error| error.to_string())?
            .to_command())
    }

    /// Compiles a program of the suite and links it with the support files' objects and the
    /// variant's library.
    pub(crate) fn program(&self, source: &Path, variant: &Variant) -> Result<PathBuf, String> {
        let library = self.library(variant.library)?;
        let program = self.out.join(variant.name).join(program_name(source));
        let mut inputs = vec![source.to_path_buf()];
        inputs.extend(self.support(variant)?);
        inputs.push(library.join(variant.archive()));
        let mut depends = inputs.clone();
        depends.extend(self.headers());
        depends.push(library.join("include/memoman.h"));
        if is_newer(&program, &depends) {
            return Ok(program);
        }
        let mut command = self.c99(variant, &library)?;
        command.args(&inputs).args(LIBRARIES);
        self.finish(command, &program)
    }

    /// The objects of c_tests/support in this variant, compiled once.
    fn support(&self, variant: &Variant) -> Result<Vec<PathBuf>, String> {
        let mut objects = self.objects.lock().expect("no build panics");
        if let Some(made) = objects.get(variant.name) {
            return made.clone();
        }
        let library = self.library(variant.library)?;
        let folder = self.out.join(variant.name);
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let sources = files(&self.root.join("c_tests/support"), &["c"]);
        let made = in_parallel(&sources, |source| {
            let object = folder.join(stem(source)).with_extension("o");
            let mut depends = self.headers();
            depends.extend([source.clone(), library.join("include/memoman.h")]);
            if is_newer(&object, &depends) {
                return Ok(object);
            }
            let mut command = self.c99(variant, &library)?;
            command.arg("-c").arg(source);
            self.finish(command, &object)
        });
        let made: Result<Vec<PathBuf>, String> = made.into_iter().collect();
        objects.insert(variant.name, made.clone());
        made
    }

    /// The variant's compiler and flags for sources in C99.
    fn c99(&self, variant: &Variant, library: &Path) -> Result<Command, String> {
        let mut command = self.compiler(variant.compiler, false)?;
        command.arg("-std=c99").args(WARNINGS).args(variant.flags);
        command.arg("-I").arg(library.join("include"));
        Ok(command)
    }

    /// Compiles a program of one file with a library from `folder`.
    pub(crate) fn tiny(
        &self,
        source: &Path,
        variant: &str,
        folder: &Path,
        archive: &str,
    ) -> Result<PathBuf, String> {
        let out = self.out.join(variant);
        std::fs::create_dir_all(&out).map_err(|error| error.to_string())?;
        let program = out.join(program_name(source));
        let archive = folder.join(archive);
        let mut depends = self.headers();
        depends.push(source.to_path_buf());
        depends.push(folder.join("include/memoman.h"));
        depends.push(archive.clone());
        if is_newer(&program, &depends) {
            return Ok(program);
        }
        let mut command = self.compiler(None, false)?;
        command
            .args(["-std=gnu11"])
            .args(WARNINGS)
            .arg("-O1")
            .arg("-I")
            .arg(folder.join("include"))
            .arg(source)
            .arg(&archive)
            .args(LIBRARIES);
        self.finish(command, &program)
    }

    /// Compiles a program that uses the C library's names only.
    pub(crate) fn stranger(&self, source: &Path, link: &[String]) -> Result<PathBuf, String> {
        let folder = self.out.join("preload");
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let cpp = is_cpp(source);
        let program = folder.join(program_name(source));
        let mut depends = self.headers();
        depends.push(source.to_path_buf());
        if is_newer(&program, &depends) {
            return Ok(program);
        }
        let mut command = self.compiler(None, cpp)?;
        command
            .args(if cpp {
                ["-std=gnu++17"]
            } else {
                ["-std=gnu11"]
            })
            .args(WARNINGS)
            .arg("-O1");
        // The compiler must not remove pairs of malloc and free, or assume malloc's properties.
        command
            .args(["-fno-builtin", "-pthread", "-L"])
            .arg(&folder)
            .arg(source)
            .args(link)
            .args(LIBRARIES);
        self.finish(command, &program)
    }

    /// Compiles a shared library for such a program: a file of c_tests/preload/libraries, and
    /// arguments for the linker.
    pub(crate) fn strangers_library(&self, library: &[String]) -> Result<PathBuf, String> {
        let (name, link) = library.split_first().ok_or("library: no file")?;
        let folder = self.out.join("preload");
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let source = self.root.join("c_tests/preload/libraries").join(name);
        let cpp = is_cpp(&source);
        let made = folder.join(format!("{}.so", stem(&source)));
        if is_newer(&made, std::slice::from_ref(&source)) {
            return Ok(made);
        }
        let mut command = self.compiler(None, cpp)?;
        command
            .args(WARNINGS)
            .args(["-O1", "-fno-builtin", "-shared", "-fPIC"])
            .arg(&source)
            .args(link);
        self.finish(command, &made)
    }

    /// Compiles a program that uses the C library's names only with a library linked in, whose
    /// functions replace the C library's: c_tests/support/linked.h renames them.
    pub(crate) fn linked(
        &self,
        source: &Path,
        variant: &Variant,
        link: &[String],
    ) -> Result<PathBuf, String> {
        let library = self.library(variant.library)?;
        let folder = self.out.join("linked").join(variant.name);
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let program = folder.join(program_name(source));
        let header = self.root.join("c_tests/support/linked.h");
        let archive = library.join(variant.archive());
        let mut depends = self.headers();
        depends.extend([source.to_path_buf(), header.clone(), archive.clone()]);
        if is_newer(&program, &depends) {
            return Ok(program);
        }
        let mut command = self.compiler(variant.compiler, false)?;
        command
            .args(["-std=gnu11", "-fno-builtin", "-pthread"])
            .args(WARNINGS)
            .args(variant.flags)
            .arg("-I")
            .arg(library.join("include"))
            .arg("-include")
            .arg(header)
            .arg(source)
            .arg(archive)
            .args(link)
            .args(LIBRARIES);
        self.finish(command, &program)
    }

    /// Compiles a program for a memory checker, with the released library.
    pub(crate) fn watched(
        &self,
        source: &Path,
        checker: &str,
        flags: &[&str],
    ) -> Result<PathBuf, String> {
        let library = self.library("release")?;
        let folder = self.out.join("watched").join(checker);
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let program = folder.join(program_name(source));
        let mut command = self.compiler(None, false)?;
        command
            .args(["-std=c99", "-O1"])
            .args(WARNINGS)
            .args(flags)
            .arg("-I")
            .arg(library.join("include"))
            .arg(source)
            .arg(library.join("libmemoman.a"))
            .args(LIBRARIES);
        self.finish(command, &program)
    }

    /// Every header of c_tests that a program may include.
    fn headers(&self) -> Vec<PathBuf> {
        [
            "support", "misuse", "preload", "planted", "watched", "cases",
        ]
        .iter()
        .flat_map(|folder| files(&self.root.join("c_tests").join(folder), &["h"]))
        .collect()
    }

    fn finish(&self, mut command: Command, program: &Path) -> Result<PathBuf, String> {
        command.arg("-o").arg(program);
        let ended = run(&mut command, Duration::from_secs(300))?;
        if ended.is_success() {
            Ok(program.to_path_buf())
        } else {
            Err(ended.report(&shown(&command)))
        }
    }
}

/// The files of a folder with one of these extensions, sorted.
pub(crate) fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|found| extensions.iter().any(|one| found == *one))
        })
        .collect();
    found.sort();
    found
}

/// A file's name without its extension.
pub(crate) fn stem(path: &Path) -> &str {
    path.file_stem()
        .and_then(|name| name.to_str())
        .unwrap_or("?")
}

/// The name of a source file's program.
pub(crate) fn program_name(source: &Path) -> String {
    let suffix = if is_cpp(source) { "_cpp" } else { "" };
    format!("{}{suffix}", stem(source))
}

fn is_cpp(source: &Path) -> bool {
    source
        .extension()
        .is_some_and(|extension| extension == "cpp")
}

/// Does `work` for each item on as many threads as there are processors; results in order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::default();
    let workers = thread::available_parallelism().map_or(2, |count| count.get());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(item) = items.get(index) else {
                        return;
                    };
                    let result = work(item);
                    done.lock().expect("no worker panics").push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no worker panics");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

fn is_newer(made: &Path, inputs: &[PathBuf]) -> bool {
    modified(made).is_some_and(|made| {
        inputs
            .iter()
            .all(|input| modified(input).is_some_and(|input| input < made))
    })
}

/// The host's target triple, for cc.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Command::new(rustc)
        .arg("-vV")
        .output()
        .ok()
        .and_then(|output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines()
                .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        })
        .unwrap_or_else(|| format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
}
