//! The same state in ever greater heaps.

#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Result<bool, String> {
    Err("not there yet".to_owned())
}
