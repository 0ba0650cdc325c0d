//! The few shapes that plots are made of, and the colours for light and dark.

use std::fmt::{Display, Write as _};

/// How wide every plot is, in pixels at its natural size.
pub(super) const WIDTH: f64 = 760.0;
/// How many colours there are before they repeat.
const COLOURS: usize = 6;

/// Shapes of text and lines. Colours follow, for light and then for dark.
const STYLE: &str = "
text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; font-size: 12px; }
.title { font-size: 16px; font-weight: 600; }
.goalname { font-size: 11px; stroke-width: 4px; paint-order: stroke; }
.grid, .axis { stroke-width: 1; }
.goal { stroke-width: 1.2; stroke-dasharray: 2 3; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.dashed { stroke-dasharray: 6 5; }
.spread { stroke-width: 1.4; }
.hollow { stroke-width: 2; }
";

/// The colours of one scheme. Written out per class, since not every viewer knows variables.
struct Scheme {
    card: &'static str,
    edge: &'static str,
    ink: &'static str,
    soft: &'static str,
    grid: &'static str,
    goal: &'static str,
    /// Told apart also by people who see few colours (after Okabe and Ito, 2008).
    series: [&'static str; COLOURS],
}

const LIGHT: Scheme = Scheme {
    card: "#ffffff",
    edge: "#d0d7de",
    ink: "#1f2328",
    soft: "#59636e",
    grid: "#e4e8ec",
    goal: "#9a6700",
    series: ["#0b62b8", "#c4500a", "#00795c", "#a3388f", "#8a6d00", "#57606a"],
};

const DARK: Scheme = Scheme {
    card: "#0d1117",
    edge: "#3d444d",
    ink: "#f0f6fc",
    soft: "#9198a1",
    grid: "#262c36",
    goal: "#d29922",
    series: ["#58a6ff", "#f0883e", "#3fb998", "#db8fd0", "#d8b94a", "#a0a8b2"],
};

impl Scheme {
    fn css(&self) -> String {
        let Self { card, edge, ink, soft, grid, goal, series } = self;
        let mut css = format!(
            ".card {{ fill: {card}; stroke: {edge}; }}\ntext {{ fill: {soft}; }}\n.title, .name {{ fill: {ink}; }}\n\
             .goalname {{ fill: {goal}; stroke: {card}; }}\n.goal {{ stroke: {goal}; }}\n.grid {{ stroke: {grid}; }}\n.axis {{ stroke: {soft}; }}\n\
             .hollow {{ fill: {card}; }}\n"
        );
        for (at, colour) in series.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = writeln!(css, ".f{at} {{ fill: {colour}; }} .s{at} {{ stroke: {colour}; }}");
        }
        css
    }
}

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
        let stroke = colour.map(|colour| format!(" s{}", colour % COLOURS)).unwrap_or_default();
        self.element(format_args!(
            r#"<line class="{class}{stroke}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)], colour: usize) {
        let mut data = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let letter = if at == 0 { 'M' } else { 'L' };
            // Writing to a string cannot fail.
            let _ = write!(data, "{letter}{x:.1} {y:.1}");
        }
        self.element(format_args!(r#"<path class="{class} s{}" d="{data}"/>"#, colour % COLOURS));
    }

    /// A point; hollow where its line is dashed.
    pub(super) fn dot(&mut self, (x, y): (f64, f64), colour: usize, hollow: bool) {
        let look = if hollow { "hollow s" } else { "f" };
        self.element(format_args!(r#"<circle class="{look}{}" cx="{x:.1}" cy="{y:.1}" r="3.6"/>"#, colour % COLOURS));
    }

    pub(super) fn bar(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: usize) {
        self.element(format_args!(
            r#"<rect class="f{}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="3"/>"#,
            colour % COLOURS
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
        let (light, dark) = (LIGHT.css(), DARK.css());
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0} {height:.0}" width="{WIDTH:.0}" height="{height:.0}" role="img" aria-label="{title}">
<title>{title}</title>
<style>{STYLE}{light}@media (prefers-color-scheme: dark) {{
{dark}}}
</style>
<rect class="card" x="0.5" y="0.5" width="{card_width:.0}" height="{card_height:.0}" rx="10"/>
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
