//! A bar on standard error, where a terminal shows it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that fills up to `total` of `what`; none where a program is listening.
pub(super) fn bar(total: u64, what: &str, quiet: bool) -> ProgressBar {
    // Standard error that is no terminal gets none by itself.
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
    let template = format!("{{bar:32}} {{human_pos}} of {{human_len}} {what}, {{per_sec}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
}
