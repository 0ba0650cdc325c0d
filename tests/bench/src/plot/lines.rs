//! Lines through points, with a legend above and a grid below.

use super::axis::Ruler;
use super::svg::{Anchor, Svg, WIDTH, text_width};
use super::{Axis, Mark, Plot, Series};

const LEFT: f64 = 84.0;
const RIGHT: f64 = 736.0;
const HEIGHT: f64 = 300.0;

pub(super) fn draw(plot: &Plot, x: &Axis, y: &Axis, series: &[Series], marks: &[Mark]) -> String {
    let mut svg = Svg::new();
    let top = legend(&mut svg, series) + 18.0;
    let bottom = top + HEIGHT;
    let points = || series.iter().flat_map(|series| &series.points);
    let across = Ruler::fit(x, points().map(|point| point.x), LEFT + 14.0, RIGHT - 14.0);
    let heights = points().flat_map(|point| [point.y, point.min, point.max]).chain(marks.iter().map(|mark| mark.y));
    let up = Ruler::fit(y, heights, bottom, top);
    // Few places measured: they are the ticks.
    let mut places: Vec<f64> = points().map(|point| point.x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let across = if places.len() <= 6 { across.only(x, &places) } else { across };

    for (value, text) in &up.ticks {
        let Some(place) = up.place(*value) else { continue };
        svg.line("grid", (LEFT, place), (RIGHT, place), None);
        svg.text("", (LEFT - 10.0, place + 4.0), Anchor::End, text);
    }
    for (value, text) in &across.ticks {
        let Some(place) = across.place(*value) else { continue };
        svg.line("axis", (place, bottom), (place, bottom + 5.0), None);
        svg.text("", (place, bottom + 20.0), Anchor::Middle, text);
    }
    svg.line("axis", (LEFT, bottom), (RIGHT, bottom), None);
    svg.text("", ((LEFT + RIGHT) / 2.0, bottom + 42.0), Anchor::Middle, &x.label);
    svg.text_turned("", (22.0, (top + bottom) / 2.0), Anchor::Middle, &y.label, true);

    for place in marks.iter().filter_map(|mark| up.place(mark.y)) {
        svg.line("goal", (LEFT, place), (RIGHT, place), None);
    }
    // Many points are a curve, few are measurements that want to be seen.
    let with_dots = places.len() <= 24;
    for Series { colour, dashed, points, .. } in series {
        let at = |x: f64, y: f64| Some((across.place(x)?, up.place(y)?));
        let path: Vec<(f64, f64)> = points.iter().filter_map(|point| at(point.x, point.y)).collect();
        svg.path(if *dashed { "line dashed" } else { "line" }, &path, *colour);
        for point in points.iter().filter(|_| with_dots) {
            let (Some(place), Some(low), Some(high)) =
                (at(point.x, point.y), at(point.x, point.min), at(point.x, point.max))
            else {
                continue;
            };
            svg.line("spread", low, high, Some(*colour));
            svg.dot(place, *colour, *dashed);
        }
    }
    // On top of all lines, so that it can be read.
    for mark in marks {
        let Some(place) = up.place(mark.y) else { continue };
        svg.text("goalname", (LEFT + 8.0, place - 5.0), Anchor::Start, &mark.label);
    }
    svg.finish(bottom + 60.0, &plot.title, &plot.subtitle)
}

/// The names of the lines, in rows as wide as the plot; gives where the last row ends.
fn legend(svg: &mut Svg, series: &[Series]) -> f64 {
    let (mut left, mut row) = (24.0, 80.0);
    for Series { name, colour, dashed, .. } in series {
        let width = 34.0 + text_width(name) + 18.0;
        if left + width > WIDTH - 12.0 && left > 24.0 {
            (left, row) = (24.0, row + 20.0);
        }
        let class = if *dashed { "line dashed" } else { "line" };
        svg.line(class, (left, row - 4.0), (left + 26.0, row - 4.0), Some(*colour));
        svg.text("name", (left + 34.0, row), Anchor::Start, name);
        left += width;
    }
    row
}
