//! One line for each test that ran: `variant TAB group TAB name TAB result`, for scripts/check.sh, and a table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

/// Where results go.
pub(crate) struct Results {
    file: Mutex<File>,
    counts: Mutex<BTreeMap<(String, String), (usize, usize)>>,
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
        let mut file = self.file.lock().expect("no writer panics");
        let _ = writeln!(file, "{variant}\t{group}\t{name}\t{result}");
        let mut counts = self.counts.lock().expect("no writer panics");
        let count = counts
            .entry((group.to_owned(), variant.to_owned()))
            .or_default();
        if passed { count.0 += 1 } else { count.1 += 1 }
    }

    pub(crate) fn print_table(&self) {
        let counts = self.counts.lock().expect("no writer panics");
        if counts.is_empty() {
            return;
        }
        println!("group       variant    passed  failed");
        for ((group, variant), (passed, failed)) in counts.iter() {
            println!("{group:<11} {variant:<9} {passed:>7} {failed:>7}");
        }
    }
}
