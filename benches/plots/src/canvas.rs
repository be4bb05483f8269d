//! A drawing with a light background of its own, so that it reads on light and on dark pages.

use svg::node::element::{Circle, Line, Path, Polygon, Polyline, Rectangle, Text, Title};
use svg::{Document, Node};

use crate::style::{BACKGROUND, Look, Marker, TEXT};

/// A place: to the right, downwards.
pub(crate) type Point = (f64, f64);

#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text is set; `y` is its base line.
#[derive(Clone, Copy)]
pub(crate) struct Font {
    pub(crate) size: f64,
    pub(crate) colour: &'static str,
    pub(crate) bold: bool,
}

pub(crate) const fn font(size: f64) -> Font {
    Font {
        size,
        colour: TEXT,
        bold: false,
    }
}

impl Font {
    pub(crate) const fn bold(self) -> Font {
        Font { bold: true, ..self }
    }

    pub(crate) const fn colour(self, colour: &'static str) -> Font {
        Font { colour, ..self }
    }
}

impl Font {
    /// Upper estimate of a text's width: that of DejaVu Sans, the widest common font.
    pub(crate) fn width(self, text: &str) -> f64 {
        let [narrow, usual, wide] = if self.bold {
            [0.46, 0.71, 1.05]
        } else {
            [0.4, 0.62, 1.0]
        };
        let widths = text.chars().map(|letter| match letter {
            'f' | 'i' | 'j' | 'l' | 't' | ' ' | '.' | ',' | ':' | ';' | '·' | '(' | ')' => narrow,
            'm' | 'w' | 'M' | 'W' | '%' => wide,
            _ => usual,
        });
        self.size * widths.sum::<f64>()
    }
}

pub(crate) struct Canvas {
    document: Document,
    width: f64,
    /// Texts that do not fit.
    outside: Vec<String>,
}

/// One decimal at most: enough for a pixel, and the same text on every machine.
fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn list(points: &[Point]) -> String {
    let points: Vec<String> = points
        .iter()
        .map(|&(x, y)| format!("{},{}", short(x), short(y)))
        .collect();
    points.join(" ")
}

impl Canvas {
    /// `title` is what a screen reader says.
    pub(crate) fn new(width: f64, height: f64, title: &str) -> Canvas {
        let background = Rectangle::new()
            .set("width", short(width))
            .set("height", short(height))
            .set("rx", 6)
            .set("fill", BACKGROUND);
        let document = Document::new()
            .set("width", short(width))
            .set("height", short(height))
            .set("viewBox", format!("0 0 {} {}", short(width), short(height)))
            .set("role", "img")
            .set("font-family", "system-ui, 'DejaVu Sans', sans-serif")
            .add(Title::new(title))
            .add(background);
        Canvas {
            document,
            width,
            outside: Vec::new(),
        }
    }

    pub(crate) fn text(&mut self, (x, y): Point, anchor: Anchor, font: Font, text: &str) {
        let length = font.width(text);
        let left = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - length / 2.0,
            Anchor::End => x - length,
        };
        if left < 0.0 || left + length > self.width {
            self.outside.push(text.to_owned());
        }
        let mut node = Text::new(text)
            .set("x", short(x))
            .set("y", short(y))
            .set("font-size", short(font.size))
            .set("fill", font.colour);
        match anchor {
            Anchor::Start => {}
            Anchor::Middle => node = node.set("text-anchor", "middle"),
            Anchor::End => node = node.set("text-anchor", "end"),
        }
        if font.bold {
            node = node.set("font-weight", "bold");
        }
        self.document.append(node);
    }

    pub(crate) fn bar(&mut self, (x, y): Point, width: f64, height: f64, colour: &str) {
        let node = Rectangle::new()
            .set("x", short(x))
            .set("y", short(y))
            .set("width", short(width))
            .set("height", short(height))
            .set("fill", colour);
        self.document.append(node);
    }

    pub(crate) fn line(&mut self, from: Point, to: Point, colour: &str, width: f64) {
        let node = Line::new()
            .set("x1", short(from.0))
            .set("y1", short(from.1))
            .set("x2", short(to.0))
            .set("y2", short(to.1))
            .set("stroke", colour)
            .set("stroke-width", short(width));
        self.document.append(node);
    }

    pub(crate) fn curve(&mut self, points: &[Point], look: Look) {
        let mut node = Polyline::new()
            .set("points", list(points))
            .set("fill", "none")
            .set("stroke", look.colour)
            .set("stroke-width", look.width)
            .set("stroke-linejoin", "round");
        if !look.dash.is_empty() {
            node = node.set("stroke-dasharray", look.dash);
        }
        self.document.append(node);
    }

    pub(crate) fn marker(&mut self, (x, y): Point, look: Look) {
        let document = &mut self.document;
        let circle = || {
            Circle::new()
                .set("cx", short(x))
                .set("cy", short(y))
                .set("stroke", look.colour)
                .set("stroke-width", 2)
        };
        let polygon = |corners: &[Point]| {
            let corners: Vec<Point> = corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
            Polygon::new()
                .set("points", list(&corners))
                .set("fill", look.colour)
        };
        let strokes = |strokes: [(Point, Point); 2]| {
            let path: String = strokes
                .iter()
                .map(|(from, to)| {
                    format!(
                        "M{} {}L{} {}",
                        short(x + from.0),
                        short(y + from.1),
                        short(x + to.0),
                        short(y + to.1)
                    )
                })
                .collect();
            Path::new()
                .set("d", path)
                .set("stroke", look.colour)
                .set("stroke-width", 2)
        };
        match look.marker {
            Marker::Disc => document.append(circle().set("r", 4).set("fill", look.colour)),
            Marker::Ring => document.append(circle().set("r", 3.5).set("fill", BACKGROUND)),
            Marker::Square => document.append(polygon(&[
                (-3.5, -3.5),
                (3.5, -3.5),
                (3.5, 3.5),
                (-3.5, 3.5),
            ])),
            Marker::Diamond => {
                document.append(polygon(&[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)]))
            }
            Marker::Up => document.append(polygon(&[(0.0, -5.0), (4.5, 3.5), (-4.5, 3.5)])),
            Marker::Down => document.append(polygon(&[(0.0, 5.0), (4.5, -3.5), (-4.5, -3.5)])),
            Marker::Plus => document.append(strokes([
                ((-5.0, 0.0), (5.0, 0.0)),
                ((0.0, -5.0), (0.0, 5.0)),
            ])),
            Marker::Bar => document.append(strokes([
                ((0.0, -5.0), (0.0, 5.0)),
                ((0.0, -5.0), (0.0, 5.0)),
            ])),
            Marker::Cross => document.append(strokes([
                ((-4.0, -4.0), (4.0, 4.0)),
                ((-4.0, 4.0), (4.0, -4.0)),
            ])),
        }
    }

    /// The svg text; an error when a text may leave the drawing.
    pub(crate) fn finish(self) -> Result<String, String> {
        if self.outside.is_empty() {
            Ok(self.document.to_string() + "\n")
        } else {
            Err(format!("no room for {:?}", self.outside))
        }
    }
}
