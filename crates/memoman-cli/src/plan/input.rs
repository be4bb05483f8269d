//! `classes.toml`: what a program allocates, as it states it.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::geometry::Geometry;

/// The most classes, and the most blocks of one: far beyond any static pool, and no sum wraps.
const MAX_CLASSES: usize = 4096;
const MAX_COUNT: u64 = 1 << 24;

/// One class of blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Class {
    pub(crate) name: String,
    /// Bytes of each request; of the largest one where they vary.
    pub(crate) size: u64,
    /// Most blocks that live at once.
    pub(crate) count: u64,
    /// Alignment of the blocks; the target's own where the file says nothing.
    pub(crate) align: u64,
    /// Requests may be smaller than `size`.
    pub(crate) varies: bool,
    pub(crate) lifetime: Lifetime,
}

/// When the blocks of a class live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lifetime {
    /// Allocated and freed at any time.
    Any,
    /// Allocated before the first block of any other class, and never freed.
    Permanent,
}

/// The order of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Any order at all.
    Any,
    /// The block freed is the one allocated last.
    Stack,
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Promise {
    pub(crate) bits: u32,
    pub(crate) order: Order,
    /// `mm_realloc` is called.
    pub(crate) realloc: bool,
    pub(crate) classes: Vec<Class>,
}

impl Promise {
    pub(crate) fn geometry(&self) -> Geometry {
        Geometry::new(self.bits)
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.classes.iter().map(|class| class.count).sum()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bits: Option<Spanned<u32>>,
    order: Option<Order>,
    realloc: Option<bool>,
    #[serde(default)]
    class: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Spanned<String>,
    size: Spanned<u64>,
    count: Spanned<u64>,
    align: Option<Spanned<u64>>,
    #[serde(default)]
    varies: bool,
    lifetime: Option<Lifetime>,
}

/// Reads a file's text. The error is one line, with the number of the line that it is about.
pub(crate) fn parse(text: &str, bits: Option<u32>) -> Result<Promise, String> {
    let at = |offset: usize| text[..offset].bytes().filter(|&byte| byte == b'\n').count() + 1;
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| at(span.start.min(text.len())));
        let message = error.message().replace('\n', "; ");
        format!("line {line}: {message}")
    })?;
    let stated = file.bits.as_ref().map(|bits| *bits.get_ref());
    let bits = bits.or(stated).unwrap_or(usize::BITS);
    if bits != 32 && bits != 64 {
        let line = file.bits.map_or(1, |bits| at(bits.span().start));
        return Err(format!("line {line}: `bits` is 32 or 64, not {bits}"));
    }
    if file.class.is_empty() {
        return Err("line 1: no [[class]]: add one with `name`, `size` and `count`".to_string());
    }
    if file.class.len() > MAX_CLASSES {
        return Err(format!(
            "line 1: more than {MAX_CLASSES} classes: join those of like sizes"
        ));
    }
    let geometry = Geometry::new(bits);
    let mut classes: Vec<Class> = Vec::with_capacity(file.class.len());
    for entry in file.class {
        let name = entry.name.get_ref();
        let wrong = |span: std::ops::Range<usize>, what: String| {
            Err(format!("line {}: class `{name}`: {what}", at(span.start)))
        };
        if !is_identifier(name) {
            return Err(format!(
                "line {}: `{name}` is no name for C: use letters, digits and _, not a digit first",
                at(entry.name.span().start)
            ));
        }
        if classes
            .iter()
            .any(|class| class.name.eq_ignore_ascii_case(name))
        {
            return wrong(entry.name.span(), "a second class of this name".into());
        }
        let (size, count) = (*entry.size.get_ref(), *entry.count.get_ref());
        if size == 0 || size > geometry.max_request() {
            let most = geometry.max_request();
            return wrong(
                entry.size.span(),
                format!("`size` is 1 to {most}, not {size}"),
            );
        }
        if count == 0 || count > MAX_COUNT {
            return wrong(
                entry.count.span(),
                format!("`count` is 1 to {MAX_COUNT}, not {count}"),
            );
        }
        let align = entry.align.as_ref().map_or(1, |align| *align.get_ref());
        if !align.is_power_of_two() || align > geometry.max_request() {
            let span = entry.align.map_or(0..0, |align| align.span());
            return wrong(span, format!("`align` is a power of two, not {align}"));
        }
        classes.push(Class {
            name: name.clone(),
            size,
            count,
            align: align.max(geometry.quantum()),
            varies: entry.varies,
            lifetime: entry.lifetime.unwrap_or(Lifetime::Any),
        });
    }
    // No sum of the formulas wraps.
    let widest = |class: &Class| u128::from(2 * class.size + 2 * class.align + 128);
    let blocks: u128 = classes.iter().map(|class| u128::from(class.count)).sum();
    if blocks * classes.iter().map(widest).max().unwrap_or(0) > 1 << 60 {
        return Err("line 1: no memory holds so many blocks of such sizes".to_string());
    }
    Ok(Promise {
        bits,
        order: file.order.unwrap_or(Order::Any),
        realloc: file.realloc.unwrap_or(false),
        classes,
    })
}

fn is_identifier(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(word)
        && !name.as_bytes()[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_everything() {
        let text = "bits = 32\norder = \"stack\"\nrealloc = true\n[[class]]\nname = \"a\"\n\
                    size = 100\ncount = 2\nalign = 64\nvaries = true\nlifetime = \"permanent\"\n";
        let promise = parse(text, None).unwrap();
        assert_eq!(
            (promise.bits, promise.order, promise.realloc),
            (32, Order::Stack, true)
        );
        assert_eq!(promise.classes[0].align, 64);
        assert_eq!(parse(text, Some(64)).unwrap().bits, 64);
    }

    #[test]
    fn errors_name_the_line() {
        let class = "[[class]]\nname = \"a\"\nsize = 8\n";
        for (text, line, word) in [
            ("", 1, "no [[class]]"),
            (
                "bits = 16\n[[class]]\nname = \"a\"\nsize = 8\ncount = 1",
                1,
                "32 or 64",
            ),
            (&format!("{class}sise = 1\n"), 4, "unknown field `sise`"),
            (class, 1, "missing field `count`"),
            (&format!("{class}count = 0\n"), 4, "`count` is 1 to"),
            (&format!("{class}count = -3\n"), 4, "invalid value"),
            (
                &format!("{class}count = 1\nalign = 24\n"),
                5,
                "power of two",
            ),
            (&format!("{class}count = \n"), 4, "value"),
            (
                &format!("{class}count = 1\n\n{class}count = 1\n"),
                7,
                "second class",
            ),
            (
                "\n[[class]]\nname = \"2a\"\nsize = 8\ncount = 1",
                3,
                "no name for C",
            ),
            (
                "[[class]]\nname = \"a\"\nsize = 0\ncount = 1",
                3,
                "`size` is 1 to",
            ),
            (
                "[[class]]\nname = \"a\"\nsize = 70368744177664\ncount = 16777216",
                1,
                "no memory",
            ),
        ] {
            let error = parse(text, None).unwrap_err();
            assert!(
                error.starts_with(&format!("line {line}: ")),
                "{text:?}: {error}"
            );
            assert!(
                error.contains(word) && !error.contains('\n'),
                "{text:?}: {error}"
            );
        }
    }
}
