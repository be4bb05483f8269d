//! One line for each test that ran: `variant TAB group TAB name TAB result`, for scripts/check.sh,
//! and a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

/// Tests of one group in one variant.
#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// The results' file and counts.
pub(crate) struct Results {
    file: Mutex<File>,
    counts: Mutex<BTreeMap<(String, String), Counts>>,
}

impl Results {
    pub(crate) fn create(path: &Path) -> Results {
        let file = File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Results {
            file: Mutex::new(file),
            counts: Mutex::default(),
        }
    }

    pub(crate) fn note(&self, variant: &str, group: &str, name: &str, passed: bool) {
        let result = if passed { "ok" } else { "FAILED" };
        self.write(variant, group, name, result, |counts| {
            if passed {
                counts.passed += 1;
            } else {
                counts.failed += 1;
            }
        });
    }

    /// A test that this machine does not permit, and why: counted apart, never as passed.
    pub(crate) fn skip(&self, variant: &str, group: &str, name_and_why: &str) {
        let (name, why) = name_and_why.split_once(' ').unwrap_or((name_and_why, "?"));
        self.write(
            variant,
            group,
            &format!("{name}: {why}"),
            "skipped",
            |counts| counts.skipped += 1,
        );
    }

    fn write(
        &self,
        variant: &str,
        group: &str,
        name: &str,
        result: &str,
        count: impl FnOnce(&mut Counts),
    ) {
        let mut file = self.file.lock().expect("no writer panics");
        let _ = writeln!(file, "{variant}\t{group}\t{name}\t{result}");
        let mut counts = self.counts.lock().expect("no writer panics");
        count(
            counts
                .entry((group.to_owned(), variant.to_owned()))
                .or_default(),
        );
    }

    pub(crate) fn print_table(&self) {
        let counts = self.counts.lock().expect("no writer panics");
        if counts.is_empty() {
            return;
        }
        println!("group       variant        passed  failed skipped");
        for ((group, variant), of) in counts.iter() {
            println!(
                "{group:<11} {variant:<13} {:>7} {:>7} {:>7}",
                of.passed, of.failed, of.skipped
            );
        }
        let variants: BTreeSet<_> = counts.keys().map(|(_, variant)| variant).collect();
        for variant in variants {
            let of = counts.iter().filter(|((_, name), _)| name == variant);
            let [passed, failed, skipped] = of.fold([0; 3], |sum, (_, of)| {
                [sum[0] + of.passed, sum[1] + of.failed, sum[2] + of.skipped]
            });
            println!(
                "{:<11} {variant:<13} {passed:>7} {failed:>7} {skipped:>7}",
                "total"
            );
        }
    }
}
