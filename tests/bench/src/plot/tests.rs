use super::*;

fn point(x: f64, y: f64) -> Point {
    Point { x, y, min: y * 0.9, max: y * 1.2 }
}

fn lines() -> Plot {
    let series = |name: &str, colour, factor: f64| Series {
        name: name.into(),
        colour,
        dashed: colour == 1,
        points: [1e5, 1e6, 1e7].map(|x| point(x, factor * x.ln())).into(),
    };
    Plot {
        file: "lines.svg".into(),
        title: "Time & size <of a decision>".into(),
        subtitle: "median of three".into(),
        chart: Chart::Lines {
            x: Axis::new("entries", Unit::Count, Scale::Log),
            y: Axis::new("time per decision", Unit::Nanoseconds, Scale::Log),
            series: vec![series("Writ", 0, 200.0), series("SQLite", 1, 900.0)],
            marks: vec![Mark { label: "goal".into(), y: 5_000.0 }],
        },
    }
}

/// Every tag that opens is closed, in order; text holds no bare `<` or `&`.
fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    for piece in svg.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().expect("a tag has a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "in order");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        let bare = text.split('&').skip(1).find(|rest| rest.split(';').next().is_none_or(|word| word.len() > 4));
        assert_eq!(bare, None, "an entity after every ampersand");
    }
    assert!(open.is_empty(), "{open:?} are closed");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "every coordinate is a number");
}

#[test]
fn lines_are_well_formed_and_show_all_of_it() {
    let svg = lines().to_svg();
    assert_well_formed(&svg);
    for text in [
        "Time &amp; size &lt;of a decision&gt;",
        "median of three",
        "entries",
        ">Writ<",
        ">SQLite<",
        ">goal<",
        ">1.00 M<",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    assert_eq!(svg.matches("<path").count(), 2);
    assert_eq!(svg.matches("<circle").count(), 6);
    assert!(svg.contains("prefers-color-scheme: dark"));
}

#[test]
fn bars_are_well_formed_and_say_their_values() {
    let bar = |name: &str, value: f64| Bar { name: name.into(), colour: 0, value, min: value, max: value };
    let chart = Chart::Bars {
        x: Axis::new("decisions per second", Unit::PerSecond, Scale::Linear),
        bars: vec![bar("Writ", 1_500_000.0), bar("SQLite", 100_000.0)],
    };
    let svg = Plot { chart, ..lines() }.to_svg();
    assert_well_formed(&svg);
    assert!(svg.contains(">1.50 M/s<") && svg.contains(">100 k/s<"));
}

#[test]
fn values_that_an_axis_cannot_show_are_left_out() {
    let mut plot = lines();
    if let Chart::Lines { series, .. } = &mut plot.chart {
        series[0].points[0] = Point { x: 1e5, y: 0.0, min: 0.0, max: 0.0 };
        series[1].points.clear();
    }
    assert_well_formed(&plot.to_svg());
}

#[test]
fn the_same_figures_give_the_same_bytes() {
    assert_eq!(lines().to_svg(), lines().to_svg());
}
