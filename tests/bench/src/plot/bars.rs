//! Horizontal bars from zero: lengths can be compared, names have room.

use super::axis::Ruler;
use super::svg::{Anchor, Svg, text_width};
use super::{Axis, Bar, Plot, Scale};
use crate::format::quantity;

const TOP: f64 = 78.0;
const RIGHT: f64 = 736.0;
const ROW: f64 = 34.0;

pub(super) fn draw(plot: &Plot, x: &Axis, bars: &[Bar]) -> String {
    let mut svg = Svg::new();
    let widest = bars.iter().map(|bar| text_width(&bar.name)).fold(0.0, f64::max);
    let left = (widest + 36.0).clamp(90.0, 330.0);
    let bottom = TOP + ROW * bars.len() as f64;
    // A log scale has no zero, and the lengths of its bars would say nothing.
    let axis = Axis { scale: Scale::Linear, ..x.clone() };
    let values = bars.iter().flat_map(|bar| [bar.value, bar.max]);
    // Room at the right for the value beside the longest bar.
    let ruler = Ruler::fit(&axis, values, left, RIGHT - 74.0);

    for (value, text) in &ruler.ticks {
        let Some(place) = ruler.place(*value) else { continue };
        svg.line("grid", (place, TOP), (place, bottom), None);
        svg.text("", (place, bottom + 18.0), Anchor::Middle, text);
    }
    for (at, bar) in bars.iter().enumerate() {
        let middle = TOP + ROW * (at as f64 + 0.5);
        svg.text("name", (left - 10.0, middle + 4.0), Anchor::End, &bar.name);
        let [Some(zero), Some(end), Some(min), Some(max)] =
            [0.0, bar.value, bar.min, bar.max].map(|value| ruler.place(value))
        else {
            continue;
        };
        svg.bar((zero, middle - 10.0), (end - zero, 20.0), bar.colour);
        svg.line("axis", (min, middle), (max, middle), None);
        for edge in [min, max] {
            svg.line("axis", (edge, middle - 4.0), (edge, middle + 4.0), None);
        }
        let text = quantity(bar.value, x.unit);
        svg.text("name", (end.max(max) + 8.0, middle + 4.0), Anchor::Start, &text);
    }
    svg.line("axis", (left, TOP), (left, bottom), None);
    svg.text("", ((left + RIGHT - 74.0) / 2.0, bottom + 40.0), Anchor::Middle, &x.label);
    svg.finish(bottom + 56.0, &plot.title, &plot.subtitle)
}
