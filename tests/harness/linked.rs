//! Programs of c_tests/preload with a variant's library linked in instead of a shim: under the
//! sanitizers, which have a `malloc` of their own, and where the program calls
//! `mm_validate_global`.

use super::build::{Workshop, files, in_parallel, stem};
use super::preload::{Directives, run_and_note};
use super::results::Results;
use super::variant::Variant;
use libtest_mimic::{Failed, Trial};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

/// A trial for each program that names this variant.
pub(crate) fn trials(
    workshop: &Arc<Workshop>,
    variant: &Variant,
    results: &Arc<Results>,
) -> Vec<Trial> {
    let sources: Vec<(PathBuf, Directives)> = files(&workshop.root.join("c_tests/preload"), &["c"])
        .into_iter()
        .filter_map(|source| {
            // A program that cannot be read fails under the shim.
            let directives = Directives::read(&source).ok()?;
            let named = directives.also_linked.iter().any(|one| one == variant.name);
            named.then_some((source, directives))
        })
        .collect();
    let built = in_parallel(&sources, |(source, directives)| {
        workshop.linked(source, variant, &directives.link)
    });
    sources
        .into_iter()
        .zip(built)
        .map(|((source, directives), program)| {
            let name = format!("linked_{}", stem(&source));
            let (kind, environment) = (variant.name, variant.environment);
            let results = Arc::clone(results);
            let folder = workshop.out.join("linked");
            Trial::test(format!("H_{name}"), move || {
                let program = program.map_err(|error| {
                    results.note(kind, "H", &name, false);
                    Failed::from(error)
                })?;
                let mut command = Command::new(program);
                command.current_dir(folder).env_remove("LD_PRELOAD");
                for (variable, value) in environment {
                    if std::env::var_os(variable).is_none() {
                        command.env(variable, value);
                    }
                }
                run_and_note(command, &directives, kind, &name, &results)
            })
            .with_kind(kind)
        })
        .collect()
}
