//! The few shapes that plots are made of, and the colours for light and dark.

use std::fmt::{Display, Write as _};

/// How wide every plot is, in pixels at its natural size.
pub(super) const WIDTH: f64 = 760.0;
/// How many colours there are before they repeat.
pub(super) const COLOURS: usize = 6;

/// Colours that people who see few colours tell apart (after Okabe and Ito, 2008), lighter on dark.
const STYLE: &str = "
svg { --card: #ffffff; --edge: #d0d7de; --ink: #1f2328; --soft: #59636e; --grid: #e4e8ec; --goal: #9a6700;
      --c0: #0b62b8; --c1: #c4500a; --c2: #00795c; --c3: #a3388f; --c4: #8a6d00; --c5: #57606a; }
@media (prefers-color-scheme: dark) {
  svg { --card: #0d1117; --edge: #3d444d; --ink: #f0f6fc; --soft: #9198a1; --grid: #262c36; --goal: #d29922;
        --c0: #58a6ff; --c1: #f0883e; --c2: #3fb998; --c3: #db8fd0; --c4: #d8b94a; --c5: #a0a8b2; }
}
text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; font-size: 12px; fill: var(--soft); }
.title { font-size: 16px; font-weight: 600; fill: var(--ink); }
.name { fill: var(--ink); }
.grid { stroke: var(--grid); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
.goal { stroke: var(--goal); stroke-width: 1.2; stroke-dasharray: 2 3; }
.goalname { fill: var(--goal); font-size: 11px; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.dashed { stroke-dasharray: 6 5; }
.spread { stroke-width: 1.4; }
.hollow { fill: var(--card); stroke-width: 2; }
";

/// Where text is fixed.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// An SVG document in the making.
pub(super) struct Svg {
    body: String,
}

impl Svg {
    pub(super) fn new() -> Self {
        Self { body: String::new() }
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: Option<usize>) {
        let stroke = colour.map(|colour| format!(" stroke=\"{}\"", paint(colour))).unwrap_or_default();
        self.element(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"{stroke}/>"#
        ));
    }

    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)], colour: usize) {
        let mut data = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let letter = if at == 0 { 'M' } else { 'L' };
            // Writing to a string cannot fail.
            let _ = write!(data, "{letter}{x:.1} {y:.1}");
        }
        self.element(format_args!(r#"<path class="{class}" d="{data}" stroke="{}"/>"#, paint(colour)));
    }

    /// A point; hollow where its line is dashed.
    pub(super) fn dot(&mut self, (x, y): (f64, f64), colour: usize, hollow: bool) {
        let paint = paint(colour);
        let look = if hollow { format!(r#"class="hollow" stroke="{paint}""#) } else { format!(r#"fill="{paint}""#) };
        self.element(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.6" {look}/>"#));
    }

    pub(super) fn bar(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: usize) {
        self.element(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="3" fill="{}"/>"#,
            paint(colour)
        ));
    }

    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        self.text_turned(class, (x, y), anchor, text, false);
    }

    /// Text, read upwards if `upwards`.
    pub(super) fn text_turned(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str, upwards: bool) {
        let class = if class.is_empty() { String::new() } else { format!(r#" class="{class}""#) };
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let turn = if upwards { format!(r#" transform="rotate(-90 {x:.1} {y:.1})""#) } else { String::new() };
        self.element(format_args!(r#"<text{class} x="{x:.1}" y="{y:.1}"{anchor}{turn}>{}</text>"#, escaped(text)));
    }

    /// The document: what was drawn, on a card of this height.
    pub(super) fn finish(self, height: f64, title: &str, subtitle: &str) -> String {
        let (title, subtitle) = (escaped(title), escaped(subtitle));
        let (card_width, card_height) = (WIDTH - 1.0, height - 1.0);
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0} {height:.0}" width="{WIDTH:.0}" height="{height:.0}" role="img" aria-label="{title}">
<title>{title}</title>
<style>{STYLE}</style>
<rect x="0.5" y="0.5" width="{card_width:.0}" height="{card_height:.0}" rx="10" fill="var(--card)" stroke="var(--edge)"/>
<text class="title" x="24" y="34">{title}</text>
<text x="24" y="54">{subtitle}</text>
{}</svg>
"#,
            self.body
        )
    }

    fn element(&mut self, element: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

/// About how wide a text is at 12 pixels: letters of proportional fonts vary, so this is generous.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.7
}

fn paint(colour: usize) -> String {
    format!("var(--c{})", colour % COLOURS)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
