//! Names the shared library, and with the feature `header` generates `include/memoman.h` from
//! `src/ffi`.
//!
//! The feature is for `make header` (`MEMOMAN_HEADER=write`: updates the committed header) and
//! `make check` (fails when it is out of date): the generator takes longer to build than the
//! library.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_CFG_UNIX").is_some() {
        // The debug library has a name of its own: a program chooses it when it is linked.
        let name = match env::var_os("CARGO_CFG_MEMOMAN_DEBUG") {
            Some(_) => "libmemoman-debug.so.0",
            None => "libmemoman.so.0",
        };
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{name}");
    }
    #[cfg(feature = "header")]
    header::update_or_verify();
}

#[cfg(feature = "header")]
mod header {
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    /// The first function of each section, with the section's title.
    const SECTIONS: [(&str, &str); 10] = [
        ("mm_size", "Sizes and limits"),
        ("mm_create", "Lifecycle: in place, in your memory"),
        ("mm_add_pool", "Pools"),
        ("mm_malloc", "Allocation"),
        ("mm_walk_pool", "Inspection"),
        ("mm_version", "Version"),
        ("mm_measure", "Measure and dump"),
        ("mm_set_observer", "Observers"),
        ("mm_set_cache", "Cache"),
        ("mm_default", "Global wrapper: hosted targets only"),
    ];

    /// The structs, which C programs name by their typedefs.
    const TYPES: [&str; 7] = [
        "mm_allocator_t",
        "mm_pool_t",
        "mm_stats_t",
        "mm_violation_t",
        "mm_cursor_t",
        "mm_measure_t",
        "mm_event_t",
    ];

    pub(super) fn update_or_verify() {
        println!("cargo::rerun-if-changed=src");
        println!("cargo::rerun-if-changed=cbindgen.toml");
        println!("cargo::rerun-if-changed=include/memoman.h");
        println!("cargo::rerun-if-env-changed=MEMOMAN_HEADER");
        let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
        let committed = root.join("include/memoman.h");
        let header = generate(&root);
        if fs::read_to_string(&committed).is_ok_and(|text| text == header) {
            return;
        }
        if env::var("MEMOMAN_HEADER").as_deref() == Ok("write") {
            fs::write(&committed, header).expect("include/memoman.h can be written");
        } else {
            println!(
                "cargo::error=include/memoman.h does not match src/ffi: \
                 run `make header` and commit it"
            );
        }
    }

    fn generate(root: &Path) -> String {
        let mut config = cbindgen::Config::from_root_or_default(root);
        let number = |name| env::var(name).expect("cargo sets the version");
        config.after_includes = Some(format!(
            "\n#define MM_VERSION_MAJOR {major}\n\
             #define MM_VERSION_MINOR {minor}\n\
             #define MM_VERSION_PATCH {patch}\n\
             #define MM_VERSION_STRING \"{whole}\"\n\
             /* Compares with MM_VERSION: the parts of a version as one number. */\n\
             #define MM_MAKE_VERSION(major, minor, patch) \\\n\
             \x20   ((major) * 10000 + (minor) * 100 + (patch))\n\
             #define MM_VERSION MM_MAKE_VERSION({major}, {minor}, {patch})",
            major = number("CARGO_PKG_VERSION_MAJOR"),
            minor = number("CARGO_PKG_VERSION_MINOR"),
            patch = number("CARGO_PKG_VERSION_PATCH"),
            whole = number("CARGO_PKG_VERSION"),
        ));
        let mut text = Vec::new();
        cbindgen::Builder::new()
            .with_crate(root)
            .with_config(config)
            .generate()
            .expect("src/ffi is valid for cbindgen")
            .write(&mut text);
        let text = String::from_utf8(text).expect("cbindgen writes UTF-8");
        // C89 has one kind of comment.
        let text = text
            .replace("// __cplusplus", "/* __cplusplus */")
            .replace("// extern \"C\"", "/* extern \"C\" */");
        // Every struct has a typedef of the same name.
        let text = TYPES.iter().fold(text, |text, name| {
            text.replace(&format!("struct {name} *"), &format!("{name} *"))
        });
        SECTIONS
            .iter()
            .fold(compact(&text), |text, (function, title)| {
                banner(text, function, title)
            })
    }

    /// Breaks a type of a function that is longer than a line, between two parameters.
    fn broken(line: &str) -> String {
        let (Some(open), Some(at)) = (line.rfind('('), line[..line.len().min(80)].rfind(", "))
        else {
            return line.to_owned();
        };
        if line.len() <= 100 || !line.starts_with("typedef ") || at < open {
            return line.to_owned();
        }
        format!(
            "{},\n{:width$}{}",
            &line[..at],
            "",
            &line[at + 2..],
            width = open + 1
        )
    }

    /// Writes a comment of one line on one line.
    fn compact(text: &str) -> String {
        let mut out = String::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let (first, rest) = (lines.next_if(|_| line.trim() == "/**"), lines.peek());
            match (first, rest) {
                (Some(first), Some(&end)) if end.trim() == "*/" => {
                    lines.next();
                    out += &format!("{indent}/** {} */\n", first.trim().trim_start_matches("* "));
                }
                (Some(first), _) => out += &format!("{line}\n{first}\n"),
                (None, _) => out += &format!("{}\n", broken(line)),
            }
        }
        out
    }

    /// Puts a section's banner before the documentation of its first function.
    fn banner(mut text: String, function: &str, title: &str) -> String {
        let declaration = text
            .match_indices(&format!("{function}("))
            .map(|(at, _)| at)
            .find(|&at| {
                let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
                !text[line..at].trim_start().starts_with(['*', '/'])
            })
            .unwrap_or_else(|| panic!("{function} opens a section but is not in the header"));
        let documentation = text[..declaration]
            .rfind("\n/**")
            .expect("every function is documented")
            + 1;
        let rule = "-".repeat(72usize.saturating_sub(title.len()));
        text.insert_str(documentation, &format!("/* ---- {title} {rule} */\n\n"));
        text
    }
}
