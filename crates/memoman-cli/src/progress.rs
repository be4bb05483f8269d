//! The progress line on the terminal: on stderr, and only when that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A progress line over a known number of steps, which appears after half a second.
pub(crate) struct Progress {
    bar: ProgressBar,
    began: std::time::Instant,
    shown: bool,
}

impl Progress {
    /// A line that starts with `what`.
    pub(crate) fn new(what: &'static str, steps: u64) -> Progress {
        let bar = ProgressBar::new(steps);
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} % {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Progress {
            bar,
            began: std::time::Instant::now(),
            shown: false,
        }
    }

    /// So many steps are done. Cheap, but not for every event: call it every few thousand.
    pub(crate) fn at(&mut self, steps: u64) {
        if !self.shown && self.began.elapsed() > Duration::from_millis(500) {
            self.shown = true;
            self.bar
                .set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        self.bar.set_position(steps);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
