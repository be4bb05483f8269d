//! What a reader relies on: the committed plots are current, every name is in words, every pair of
//! allocators looks different, the legend lies off the curves, and glibc's version is stated.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use palette::color_difference::Ciede2000;
use palette::{FromColor, Lab, LinSrgb, Srgb};

use crate::ALL;
use crate::canvas::{Anchor, Canvas, font};
use crate::style::{self, Look};
use crate::table::Table;
use crate::words;

fn results() -> PathBuf {
    record::root().join("benches/results")
}

/// The allocators of each csv that is drawn.
fn drawn_together() -> Vec<(&'static str, Vec<(String, Look)>)> {
    ALL.iter()
        .map(|plot| {
            let table = Table::read(&results().join(plot.csv)).unwrap();
            let names = table.distinct("allocator").unwrap();
            let looks = names
                .into_iter()
                .filter(|name| *name != "null")
                .map(|name| (name.to_owned(), style::of(name).unwrap()))
                .collect();
            (plot.csv, looks)
        })
        .collect()
}

#[test]
fn the_committed_plots_are_current() {
    for plot in ALL {
        let drawn = plot.draw(&results().join(plot.csv)).unwrap();
        let committed = fs::read_to_string(results().join(plot.svg)).unwrap_or_default();
        assert!(
            drawn == committed,
            "{} differs from what {} draws: run `make plots`",
            plot.svg,
            plot.csv
        );
    }
}

#[test]
fn a_plot_changes_with_its_figures() {
    let csv = fs::read_to_string(results().join("latency.csv")).unwrap();
    let other = csv.replace(
        "adversarial,malloc,memoman,",
        "adversarial,malloc,memoman,9",
    );
    let draw = |text: &str| crate::figures::readme(&Table::parse(text).unwrap()).unwrap();
    assert_ne!(draw(&csv), draw(&other));
}

#[test]
fn every_workload_has_a_name_in_words() {
    for (csv, column, list) in [
        ("bench.csv", "workload", &words::WORKLOADS[..]),
        ("latency.csv", "pattern", &words::WORKLOADS),
        ("latency_histogram.csv", "pattern", &words::WORKLOADS),
        ("latency_global.csv", "call", &words::CALLS),
        ("fit.csv", "measure", &words::MEASURES),
        ("global.csv", "load", &words::LOADS),
    ] {
        let table = Table::read(&results().join(csv)).unwrap();
        for name in table.distinct(column).unwrap() {
            words::of(list, name).unwrap();
        }
    }
    assert!(words::of(&words::WORKLOADS, "W9").is_err());
}

#[test]
fn every_plot_names_the_version_of_glibc() {
    for plot in ALL {
        let csv = fs::read_to_string(results().join(plot.csv)).unwrap();
        let facts = csv.lines().next().unwrap().split("; ");
        let glibc = facts
            .clone()
            .find(|fact| fact.starts_with("glibc "))
            .unwrap();
        let svg = fs::read_to_string(results().join(plot.svg)).unwrap();
        assert!(svg.contains(&format!("· {glibc} ·")), "{}", plot.svg);
    }
    let without =
        "# make fit; 2026-11-24; commit 0; host; rustc; gcc; AMD EPYC; more; more\na\n1\n";
    assert!(Table::parse(without).is_err());
}

/// How each kind of colour blindness maps linear sRGB: G. M. Machado, M. M. Oliveira and L. A. F.
/// Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009),
/// severity 1.
const VISIONS: [(&str, [[f32; 3]; 3]); 4] = [
    ("full", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    (
        "protanopia",
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
    ),
    (
        "deuteranopia",
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
    ),
    (
        "tritanopia",
        [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_900],
        ],
    ),
];

fn linear(colour: &str) -> LinSrgb<f32> {
    let part = |index: usize| u8::from_str_radix(&colour[index..index + 2], 16).unwrap();
    Srgb::new(part(1), part(3), part(5)).into_linear()
}

fn seen(colour: &str, vision: &[[f32; 3]; 3]) -> Lab {
    let colour = linear(colour);
    let [red, green, blue] = vision.map(|row| {
        (row[0] * colour.red + row[1] * colour.green + row[2] * colour.blue).clamp(0.0, 1.0)
    });
    Lab::from_color(LinSrgb::new(red, green, blue))
}

#[test]
fn colours_are_apart_for_every_pair_and_every_reader() {
    for (csv, looks) in drawn_together() {
        for (vision, matrix) in &VISIONS {
            for (index, (one, look)) in looks.iter().enumerate() {
                for (other, other_look) in &looks[..index] {
                    let difference =
                        seen(look.colour, matrix).difference(seen(other_look.colour, matrix));
                    assert!(
                        difference >= 10.0,
                        "{csv}: {one} and {other} are {difference:.1} apart with {vision} vision"
                    );
                }
            }
        }
    }
}

#[test]
fn colours_contrast_with_the_background() {
    let luminance = |colour: &str| {
        let colour = linear(colour);
        0.2126 * colour.red + 0.7152 * colour.green + 0.0722 * colour.blue
    };
    for (csv, looks) in drawn_together() {
        for (name, look) in looks {
            let contrast = (luminance(style::BACKGROUND) + 0.05) / (luminance(look.colour) + 0.05);
            assert!(contrast >= 2.0, "{csv}: {name} has contrast {contrast:.2}");
        }
    }
}

#[test]
fn dashes_and_markers_differ_for_every_pair() {
    for (csv, looks) in drawn_together() {
        for (index, (one, look)) in looks.iter().enumerate() {
            for (other, other_look) in &looks[..index] {
                assert_ne!(look.dash, other_look.dash, "{csv}: {one} and {other}");
                assert_ne!(look.marker, other_look.marker, "{csv}: {one} and {other}");
            }
        }
    }
}

/// The lines of an svg that hold `element`, and the value of one attribute of each.
fn attribute<'a>(svg: &'a str, element: &str, name: &str) -> Vec<(&'a str, &'a str)> {
    let (element, name) = (format!("<{element} "), format!(" {name}=\""));
    svg.lines()
        .filter(|line| line.starts_with(&element))
        .filter_map(|line| {
            let (_, rest) = line.split_once(&name)?;
            Some((line, rest.split_once('"')?.0))
        })
        .collect()
}

#[test]
fn the_legend_lies_above_the_curves() {
    for plot in [&crate::LATENCY, &crate::LATENCY_GLOBAL] {
        let svg = fs::read_to_string(results().join(plot.svg)).unwrap();
        let highest = attribute(&svg, "polyline", "points")
            .into_iter()
            .map(|(_, points)| points.split(' ').collect::<Vec<_>>())
            // A line of the legend has two points.
            .filter(|points| points.len() > 2)
            .flatten()
            .map(|point| point.split_once(',').unwrap().1.parse::<f64>().unwrap())
            .fold(f64::INFINITY, f64::min);
        assert!(highest.is_finite());
        let table = Table::read(&results().join(plot.csv)).unwrap();
        let allocators: HashSet<&str> = table.distinct("allocator").unwrap().into_iter().collect();
        let lines: Vec<&str> = svg.lines().collect();
        let mut found = 0;
        for (line, y) in attribute(&svg, "text", "y") {
            // The text stands on the line after its element.
            let index = lines.iter().position(|other| *other == line).unwrap();
            if allocators.contains(lines[index + 1].trim()) {
                assert!(y.parse::<f64>().unwrap() < highest, "{}: {line}", plot.svg);
                found += 1;
            }
        }
        assert_eq!(found, allocators.len(), "{}", plot.svg);
    }
}

#[test]
fn a_text_that_leaves_the_drawing_is_refused() {
    let draw = |text: &str| {
        let mut canvas = Canvas::new(100.0, 20.0, "a test");
        canvas.text((10.0, 15.0), Anchor::Start, font(12.0), text);
        canvas.finish()
    };
    assert!(draw("short").is_ok());
    assert!(draw("a text of more than ninety pixels").is_err());
}

#[test]
fn captions_break_between_parts() {
    let text =
        "# make fit; 2026-11-24; commit 0; host; rustc; gcc; glibc 2.36; CPU; one; two\na\n1\n";
    let table = Table::parse(text).unwrap();
    let whole = "CPU · glibc 2.36 · 2026-11-24 · commit 0 · make fit";
    assert_eq!(table.caption().lines(80), [whole, "one; two"]);
    let broken = [
        "CPU · glibc 2.36",
        "2026-11-24 · commit 0",
        "make fit",
        "one; two",
    ];
    assert_eq!(table.caption().lines(25), broken);
}
