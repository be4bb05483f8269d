//! Measure and dump of a heap: they say what a walk sees, on a sound heap, and name the damage on
//! an overwritten one, whatever word is overwritten.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use memoman_core::{DumpFormat, Heap, Invariant, Seen, Tlsf};

type Memory = [MaybeUninit<usize>];

fn memory(bytes: usize) -> Vec<MaybeUninit<usize>> {
    vec![MaybeUninit::new(0); bytes / size_of::<usize>()]
}

/// A heap with a block in use, a free one, a block in use.
fn heap(memory: &mut Memory) -> (Tlsf, [NonNull<u8>; 3]) {
    // SAFETY: the memory is the heap's until the test ends.
    unsafe {
        let (start, bytes) = (memory.as_mut_ptr().cast(), size_of_val(memory));
        // All bins, whatever the bytes.
        let max_block = Tlsf::DEFAULT_MAX_BLOCK;
        let tlsf = Tlsf::create_for_with_pool(start, bytes, max_block).unwrap();
        let blocks = [100, 200, 300].map(|bytes| tlsf.malloc(bytes).unwrap());
        tlsf.free(blocks[1]).unwrap();
        (tlsf, blocks)
    }
}

fn dump(tlsf: Tlsf, format: DumpFormat) -> (bool, String) {
    let mut text = Vec::new();
    // SAFETY: a live heap.
    let whole = unsafe {
        tlsf.dump(format, &mut |piece| {
            assert!((1..=96).contains(&piece.len()));
            text.extend_from_slice(piece);
            true
        })
    };
    (whole, String::from_utf8(text).unwrap())
}

/// The number after `key`.
fn number(text: &str, key: &str) -> usize {
    let rest = text
        .split_once(key)
        .unwrap_or_else(|| panic!("{key} in {text}"));
    let digits: String = rest.1.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn both_forms_show_every_block_list_and_figure() {
    let mut memory = memory(40_000);
    let (tlsf, blocks) = heap(&mut memory);
    let (whole, json) = dump(tlsf, DumpFormat::Json);
    assert!(whole, "{json}");
    assert_eq!(json.matches("{\"pool\":").count(), 4);
    assert_eq!(json.matches("{\"bin\":").count(), 2);
    // SAFETY: a live heap.
    let (stats, measure) = unsafe { (tlsf.stats(), tlsf.measure().unwrap()) };
    assert_eq!(number(&json, "\"largest\":"), stats.largest);
    assert_eq!(number(&json, "\"fragmentation\":"), measure.fragmentation);
    assert!(json.contains(&format!("\"at\":{},", blocks[2].addr())));
    assert!(json.ends_with("{\"end\":4,\"broken\":0}\n"));
    let (whole, text) = dump(tlsf, DumpFormat::Text);
    assert!(whole && text.ends_with("\nsound\n"));
    assert_eq!(text.matches('|').count(), 4);
    assert!(text.contains("wilderness: 1 block, "));
}

#[test]
fn several_pools_and_blocks_of_one_list() {
    let mut memory = memory(40_000);
    let mut regions = [[0usize; 8192]; 2];
    let (tlsf, _) = heap(&mut memory);
    // SAFETY: the memory is the heap's until the test ends.
    unsafe {
        for region in &mut regions {
            tlsf.add_pool(region.as_mut_ptr().cast(), size_of_val(region))
                .unwrap();
        }
        let blocks: Vec<_> = (0..20).map(|_| tlsf.malloc(200).unwrap()).collect();
        for block in blocks.iter().step_by(2) {
            tlsf.free(*block).unwrap();
        }
        let measure = tlsf.measure().unwrap();
        let (whole, text) = dump(tlsf, DumpFormat::Text);
        assert!(whole && text.contains(" blocks, "), "{text}");
        let (whole, json) = dump(tlsf, DumpFormat::Json);
        assert!(whole);
        assert_eq!(json.matches("\"first\":").count(), 3);
        assert_eq!(json.matches("\"free\",").count(), measure.free_blocks);
        let listed: usize = json
            .lines()
            .filter(|line| line.starts_with("{\"bin\""))
            .map(|line| number(line, "\"blocks\":"))
            .sum();
        assert_eq!(listed, measure.free_blocks);
    }
}

#[test]
fn the_layer_above_says_more_of_a_block() {
    fn look(base: NonNull<u8>, usable: usize) -> Seen {
        if usable < 200 {
            Seen::HeldBack(base.as_ptr(), 7)
        } else {
            Seen::Holds(base.as_ptr(), usable)
        }
    }
    let mut memory = memory(40_000);
    let (tlsf, _) = heap(&mut memory);
    for format in [DumpFormat::Json, DumpFormat::Text] {
        let mut text = Vec::new();
        // SAFETY: a live heap.
        let whole = unsafe {
            tlsf.dump_with(format, look, true, &mut |piece| {
                text.extend_from_slice(piece);
                true
            })
        };
        let text = String::from_utf8(text).unwrap();
        assert!(whole);
        match format {
            DumpFormat::Json => {
                assert!(text.contains("\"debug\":true"));
                assert!(text.contains("\"quarantine\",\"pointer\":"));
                assert!(text.contains(",\"requested\":7}"));
            }
            DumpFormat::Text => assert!(text.contains('~')),
        }
    }
    // SAFETY: a live heap.
    let measure = unsafe { tlsf.measure_with(look) }.unwrap();
    assert_eq!((measure.live_blocks, measure.free_blocks), (1, 3));
}

#[test]
fn a_writer_that_stops_gets_no_further_piece() {
    let mut memory = memory(40_000);
    let (tlsf, _) = heap(&mut memory);
    for format in [DumpFormat::Json, DumpFormat::Text] {
        for most in 1..30 {
            let mut pieces = 0;
            // SAFETY: a live heap.
            let whole = unsafe {
                tlsf.dump(format, &mut |_| {
                    pieces += 1;
                    pieces < most
                })
            };
            assert!(pieces <= most && whole == (pieces < most));
        }
    }
}

#[test]
fn the_dump_finds_what_validation_finds() {
    let mut memory = memory(12_000);
    let words = memory.len();
    let (tlsf, blocks) = heap(&mut memory);
    let place = memory.as_mut_ptr().cast::<usize>();
    let mut damaged = 0;
    for index in 0..words {
        for change in 0..5 {
            // SAFETY: a word of the heap's memory, restored before the next call.
            unsafe {
                let word = place.add(index);
                let old = word.read();
                word.write(match change {
                    0 => 0,
                    1 => usize::MAX,
                    2 => old ^ 16,
                    3 => blocks[1].addr().get() + 1,
                    _ => blocks[0].as_ptr().expose_provenance(),
                });
                let sound = tlsf.diagnose().is_none();
                let (whole, json) = dump(tlsf, DumpFormat::Json);
                let text = dump(tlsf, DumpFormat::Text).1;
                assert_eq!(whole, sound, "word {index}, change {change}: {json}");
                assert_eq!(whole, !json.contains("{\"broken\":{"));
                assert!(text.ends_with(if sound { "sound\n" } else { "damaged\n" }));
                // The links and the bitmaps are no part of a measure.
                assert!(tlsf.measure().is_some() || !sound);
                damaged += usize::from(!sound);
                word.write(old);
            }
        }
    }
    // The small build has few bins, and so few words that count.
    let least = if cfg!(memoman_small) { 800 } else { 3000 };
    assert!(damaged > least, "{damaged}");
    assert!(dump(tlsf, DumpFormat::Json).0);
}

#[test]
fn a_fault_is_placed() {
    let mut memory = memory(40_000);
    let (tlsf, blocks) = heap(&mut memory);
    // SAFETY: the heap's own memory; the word before the payload is its header.
    unsafe { blocks[2].cast::<usize>().sub(1).write(0) };
    let (whole, json) = dump(tlsf, DumpFormat::Json);
    assert!(!whole);
    let fault = json
        .lines()
        .find(|line| line.starts_with("{\"broken\":{"))
        .unwrap();
    assert_eq!(number(fault, "\"invariant\":"), Invariant::Tiling as usize);
    assert_eq!(number(fault, "\"at\":"), blocks[2].addr().get());
    assert_eq!(number(fault, "\"pool\":"), 0);
    assert_eq!(number(&json, "{\"end\":"), 2);
    assert!(
        dump(tlsf, DumpFormat::Text)
            .1
            .contains("in pool 0: the rest of the pool is not shown")
    );
}

#[test]
fn a_heap_dumps_itself() {
    let mut memory = [const { MaybeUninit::uninit() }; 32 * 1024];
    let mut heap = Heap::new(&mut memory).unwrap();
    let block = heap.allocate(Layout::new::<[u8; 100]>()).unwrap();
    let mut bytes = 0;
    assert!(heap.dump(DumpFormat::Text, |text| {
        bytes += text.len();
        true
    }));
    assert!(bytes > 100);
    assert_eq!(heap.measure().unwrap().live_blocks, 1);
    // SAFETY: the block came from this heap with this layout.
    unsafe { heap.deallocate(block, Layout::new::<[u8; 100]>()).unwrap() };
}
