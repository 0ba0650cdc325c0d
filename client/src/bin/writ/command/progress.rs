//! How far a long command has come, on standard error: a bar where a terminal shows it, else a line now and
//! then. Standard output belongs to the data.

use std::cell::Cell;
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two lines, where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// How far a command has come.
pub(super) struct Progress {
    bar: ProgressBar,
    /// Where there is no terminal: what is counted, since when, and when a line was written last.
    lines: Option<Lines>,
}

struct Lines {
    what: &'static str,
    total: u64,
    began: Instant,
    told: Cell<Instant>,
}

/// Progress up to `total` of `what`; none where a program is listening.
pub(super) fn bar(total: u64, what: &'static str, quiet: bool) -> Progress {
    // Standard error that is no terminal gets no bar by itself.
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
    let template = format!("{{bar:32}} {{human_pos}} of {{human_len}} {what}, {{per_sec:.0}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style);
    let now = Instant::now();
    let lines = (!quiet && !stderr().is_terminal()).then(|| Lines { what, total, began: now, told: Cell::new(now) });
    Progress { bar, lines }
}

impl Progress {
    /// So much is done.
    pub(super) fn set_position(&self, done: u64) {
        self.bar.set_position(done);
        let Some(Lines { what, total, began, told }) = &self.lines else { return };
        if told.get().elapsed() >= EVERY {
            eprintln!("{}", line(done, *total, what, began.elapsed()));
            told.set(Instant::now());
        }
    }

    /// It is over, and leaves no trace on a terminal.
    pub(super) fn finish_and_clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn line(done: u64, total: u64, what: &str, took: Duration) -> String {
    let rate = done as f64 / took.as_secs_f64().max(f64::EPSILON);
    let left = total.saturating_sub(done);
    // Without anything done there is nothing to tell from.
    let left = if done == 0 { String::new() } else { format!(", about {:.0} s left", left as f64 / rate) };
    format!("{done} of {total} {what}, {rate:.0} {what}/s{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_much_how_fast_and_how_long() {
        for (done, seconds, want) in [
            (0, 5, "0 of 1000 rows, 0 rows/s"),
            (250, 5, "250 of 1000 rows, 50 rows/s, about 15 s left"),
            (1000, 20, "1000 of 1000 rows, 50 rows/s, about 0 s left"),
        ] {
            assert_eq!(line(done, 1000, "rows", Duration::from_secs(seconds)), want);
        }
        assert!(line(7, 7, "rows", Duration::ZERO).starts_with("7 of 7 rows, "));
    }
}
