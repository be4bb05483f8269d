//! The page: one file with its data, its style and its code.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const CODE: [&str; 6] = [
    include_str!("page/common.js"),
    include_str!("page/map.js"),
    include_str!("page/plots.js"),
    include_str!("page/flame.js"),
    include_str!("page/tables.js"),
    include_str!("page/main.js"),
];

/// Puts the page together.
pub(super) fn page(title: &str, data: &impl Serialize, map: &str) -> Result<String, String> {
    let json = serde_json::to_string(data).map_err(|error| error.to_string())?;
    let mut page = String::with_capacity(json.len() + map.len() + (128 << 10));
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            break;
        };
        page.push_str(before);
        match name {
            "title" => page.push_str(&escaped(title)),
            "style" => page.push_str(STYLE),
            // `<` never occurs unescaped: nothing in the data ends the script.
            "data" => page.push_str(&json.replace('<', "\\u003c")),
            "map" => page.push_str(map),
            "code" => CODE.iter().for_each(|code| page.push_str(code)),
            _ => {}
        }
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Planes of bytes, each slice as its difference from the one before, compressed, in base64.
pub(super) fn packed(planes: &[&[u8]], cells: usize) -> std::io::Result<String> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    let mut row = vec![0u8; cells];
    for plane in planes {
        let mut before: &[u8] = &vec![0u8; cells];
        for slice in plane.chunks_exact(cells.max(1)) {
            for ((to, &now), &then) in row.iter_mut().zip(slice).zip(before) {
                *to = now.wrapping_sub(then);
            }
            encoder.write_all(&row)?;
            before = slice;
        }
    }
    Ok(base64(&encoder.finish()?))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let mut bits = [0u8; 3];
        bits[..three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for digit in 0..4 {
            let index = bits >> (18 - 6 * digit) & 63;
            let digit = if digit <= three.len() {
                DIGITS[index as usize]
            } else {
                b'='
            };
            out.push(char::from(digit));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_base64() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }

    #[test]
    fn nothing_in_the_data_ends_the_script() {
        let page = page("<b>\"", &["</script><script>alert(1)"], "").unwrap();
        assert!(!page.contains("</script><script>alert"));
        assert!(page.contains("&lt;b&gt;&quot;"));
        assert!(!page.contains("{{"));
    }
}
