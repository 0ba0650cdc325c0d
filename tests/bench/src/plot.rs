//! Plots as SVG, written by the bench itself: no browser, no library, the same bytes for the same figures.
//!
//! A plot brings its own card as background, and the card follows the reader's colour scheme. So its text
//! can be read on a light and on a dark page, also by a viewer that ignores the scheme.

mod axis;
mod bars;
mod lines;
mod svg;

use serde::{Deserialize, Serialize};

use crate::figure::Unit;

/// A picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plot {
    /// The name of its file, without a folder: `decision-size.svg`.
    pub(crate) file: String,
    /// What it shows, in a few words.
    pub(crate) title: String,
    /// Under which circumstances, in one line.
    pub(crate) subtitle: String,
    /// What is drawn.
    pub(crate) chart: Chart,
}

/// What is drawn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Chart {
    /// Lines through points, each with its spread.
    Lines {
        /// The horizontal axis.
        x: Axis,
        /// The vertical axis.
        y: Axis,
        /// The lines.
        series: Vec<Series>,
        /// Values of `y` to be drawn across: goals.
        marks: Vec<Mark>,
    },
    /// Horizontal bars from zero, each with its value and spread.
    Bars {
        /// The axis of the values; it starts at zero and is linear.
        x: Axis,
        /// The bars, from top to bottom.
        bars: Vec<Bar>,
    },
}

/// An axis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Axis {
    /// What is counted along it.
    pub(crate) label: String,
    /// How its values are written.
    pub(crate) unit: Unit,
    /// How its values are placed.
    pub(crate) scale: Scale,
}

impl Axis {
    /// An axis.
    pub(crate) fn new(label: impl Into<String>, unit: Unit, scale: Scale) -> Self {
        Self { label: label.into(), unit, scale }
    }
}

/// How values are placed on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scale {
    /// Evenly, from zero.
    Linear,
    /// Each factor as far as the next. All values must be greater than zero; others are left out.
    Log,
}

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub(crate) name: String,
    /// Which colour it has, from 0: series of one thing share it.
    pub(crate) colour: usize,
    /// Whether it is drawn with dashes: the weaker variant of a thing.
    pub(crate) dashed: bool,
    /// Its points, ascending by `x`.
    pub(crate) points: Vec<Point>,
}

/// A point of a line.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Where.
    pub(crate) x: f64,
    /// The median.
    pub(crate) y: f64,
    /// The least of the repetitions.
    pub(crate) min: f64,
    /// The greatest of the repetitions.
    pub(crate) max: f64,
}

/// A line across: a goal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// What it says.
    pub(crate) label: String,
    /// At which value.
    pub(crate) y: f64,
}

/// A bar.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bar {
    /// What it stands for.
    pub(crate) name: String,
    /// Which colour it has, from 0.
    pub(crate) colour: usize,
    /// The median.
    pub(crate) value: f64,
    /// The least of the repetitions.
    pub(crate) min: f64,
    /// The greatest of the repetitions.
    pub(crate) max: f64,
}

impl Plot {
    /// The picture as an SVG document.
    pub(crate) fn to_svg(&self) -> String {
        match &self.chart {
            Chart::Lines { x, y, series, marks } => lines::draw(self, x, y, series, marks),
            Chart::Bars { x, bars } => bars::draw(self, x, bars),
        }
    }
}

#[cfg(test)]
mod tests;
