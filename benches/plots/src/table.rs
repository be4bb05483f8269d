//! A results file: its first line, which says where the figures come from, and its rows.

use std::fs;
use std::path::Path;

/// A csv file of `benches/results`.
pub(crate) struct Table {
    /// The parts of the first line, in the order that `record::comment` writes.
    facts: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Number of facts before those that a command adds itself: command, date, commit, target, rustc,
/// gcc, glibc, processor.
const COMMON: usize = 8;
const GLIBC: usize = 6;

impl Table {
    pub(crate) fn read(path: &Path) -> Result<Table, String> {
        Table::parse(&fs::read_to_string(path).map_err(|error| error.to_string())?)
    }

    pub(crate) fn parse(text: &str) -> Result<Table, String> {
        let first = text.lines().next().unwrap_or_default();
        let facts: Vec<String> = first
            .strip_prefix("# ")
            .ok_or("the first line is no comment")?
            .split("; ")
            .map(str::to_owned)
            .collect();
        if facts.len() < COMMON || !facts[GLIBC].starts_with("glibc ") {
            return Err("the first line names no glibc version after gcc's".to_owned());
        }
        let mut csv = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .from_reader(text.as_bytes());
        let fields = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
        let columns = fields(csv.headers().map_err(|error| error.to_string())?);
        let rows = csv
            .records()
            .map(|record| record.map(|record| fields(&record)))
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        Ok(Table {
            facts,
            columns,
            rows,
        })
    }

    /// What stands below a plot: machine, versions and commit; then what the command says of its
    /// figures.
    pub(crate) fn caption(&self) -> Caption<'_> {
        let [command, date, commit, _, _, _, glibc, processor] = &self.facts[..COMMON] else {
            unreachable!("`parse` counts the facts");
        };
        Caption {
            source: [processor, glibc, date, commit, command].map(String::as_str),
            notes: self.facts[COMMON..].iter().map(String::as_str).collect(),
        }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|fields| Row {
            columns: &self.columns,
            fields,
        })
    }

    /// The values of a column, each once, in the order of their first rows.
    pub(crate) fn distinct(&self, column: &str) -> Result<Vec<&str>, String> {
        let mut found = Vec::new();
        for row in self.rows() {
            let value = row.text(column)?;
            if !found.contains(&value) {
                found.push(value);
            }
        }
        Ok(found)
    }
}

/// The origin of a plot's figures.
pub(crate) struct Caption<'a> {
    source: [&'a str; 5],
    pub(crate) notes: Vec<&'a str>,
}

impl Caption<'_> {
    /// Lines of at most `characters` characters; a longer part has a line of its own.
    pub(crate) fn lines(&self, characters: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for (parts, separator) in [(&self.source[..], " · "), (&self.notes[..], "; ")] {
            let mut line = String::new();
            for part in parts {
                let length = line.chars().count() + separator.len() + part.chars().count();
                if !line.is_empty() && length > characters {
                    lines.push(std::mem::take(&mut line));
                }
                if !line.is_empty() {
                    line.push_str(separator);
                }
                line.push_str(part);
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        lines
    }
}

/// One row, its fields by the names of their columns.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    columns: &'a [String],
    fields: &'a [String],
}

impl<'a> Row<'a> {
    pub(crate) fn text(self, column: &str) -> Result<&'a str, String> {
        self.columns
            .iter()
            .position(|name| name == column)
            .map(|index| self.fields[index].as_str())
            .ok_or(format!("no column {column}"))
    }

    pub(crate) fn number(self, column: &str) -> Result<f64, String> {
        let text = self.text(column)?;
        text.parse()
            .map_err(|_| format!("{column}: {text} is no number"))
    }
}
