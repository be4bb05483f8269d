//! Stacks as people read them: names of frames, the call site of an allocation, the flame graph.

use std::collections::HashMap;

use memoman_trace::Trace;
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::aggregate::{GROUPS, Sums};
use crate::progress::Progress;
use crate::symbols::{Frame, Symbols};

/// Most nodes of the flame graph, and call sites of the table.
const NODES: usize = 12_000;
const SITES: usize = 300;

/// Files whose frames pass a request on: the call site is the frame before them.
const PASSES: [&str; 6] = [
    "libmemoman",
    "libc.so",
    "libc-",
    "libstdc++",
    "libgcc_s",
    "ld-linux",
];

/// The frames of all stacks, named.
pub(super) struct Frames {
    /// Functions, and call sites with file and line where they are known.
    pub(super) names: Vec<String>,
    /// For each stack, its functions as indices into `names`, the innermost first.
    stacks: Vec<Vec<u32>>,
    /// For each stack, the position of its call site among its functions.
    sites: Vec<usize>,
    /// For each stack, its call site with file and line, as an index into `names`.
    labels: Vec<Option<u32>>,
}

/// A call site.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Site {
    name: u32,
    /// Its caller in the first stack.
    caller: Option<u32>,
    #[serde(flatten)]
    sums: Sums,
}

/// A node of the flame graph: a frame below another.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Node {
    name: u32,
    /// An index of a node before it; the first node is the root.
    parent: u32,
    /// Allocated bytes, blocks, bytes at the peak, bytes left at the end.
    sums: [u64; 4],
}

impl Frames {
    /// Names the frames of a trace.
    pub(super) fn new(trace: &Trace) -> Frames {
        let mut frames = Frames {
            names: Vec::new(),
            stacks: vec![Vec::new()],
            sites: vec![0],
            labels: vec![None],
        };
        let mut symbols = Symbols::new(trace);
        let mut known: HashMap<String, u32> = HashMap::new();
        let mut number = |names: &mut Vec<String>, name: String| {
            *known.entry(name).or_insert_with_key(|name| {
                names.push(name.clone());
                names.len() as u32 - 1
            })
        };
        let mut progress = Progress::new("naming", u64::from(trace.stacks()));
        for id in 1..=trace.stacks() {
            if id.is_multiple_of(64) {
                progress.at(u64::from(id));
            }
            let mut stack = Vec::new();
            let (mut site, mut label) = (None, None);
            for &address in trace.stack(id) {
                for frame in symbols.frames(address) {
                    let file = frame.module.rsplit('/').next().unwrap_or("");
                    if site.is_none() && !PASSES.iter().any(|start| file.starts_with(start)) {
                        site = Some(stack.len());
                        label = Some(label_of(frame));
                    }
                    stack.push(number(&mut frames.names, frame.function.clone()));
                }
            }
            let label = label.map(|label| number(&mut frames.names, label));
            frames.labels.push(label.or(stack.first().copied()));
            frames.sites.push(site.unwrap_or(0));
            frames.stacks.push(stack);
        }
        frames
    }

    /// A stack's call site.
    fn site(&self, stack: usize) -> Option<u32> {
        self.labels.get(stack).copied().flatten()
    }

    /// For each stack the colour of its call site: one each for those that allocate most bytes.
    /// And their names.
    pub(super) fn groups(&self, bytes: &[u64]) -> (Vec<u8>, Vec<u32>) {
        let mut of: FxHashMap<u32, u64> = FxHashMap::default();
        for (stack, bytes) in bytes.iter().enumerate() {
            if let Some(site) = self.site(stack) {
                let sum = of.entry(site).or_default();
                *sum = sum.saturating_add(*bytes);
            }
        }
        let mut order: Vec<(u64, u32)> =
            of.into_iter().map(|(site, bytes)| (bytes, site)).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        let top: Vec<u32> = order
            .iter()
            .take(GROUPS - 1)
            .map(|&(_, site)| site)
            .collect();
        let group = |stack| {
            let site = self.site(stack);
            let place = site.and_then(|site| top.iter().position(|&top| top == site));
            place.unwrap_or(GROUPS - 1) as u8
        };
        ((0..self.stacks.len()).map(group).collect(), top)
    }

    /// The call sites that matter in any respect.
    pub(super) fn sites(&self, stacks: &[Sums]) -> Vec<Site> {
        let mut sites: FxHashMap<u32, Site> = FxHashMap::default();
        for (stack, sums) in stacks.iter().enumerate() {
            let Some(name) = self.site(stack) else {
                continue;
            };
            let caller = self.stacks[stack].get(self.sites[stack] + 1).copied();
            let site = sites.entry(name).or_insert(Site {
                name,
                caller,
                sums: Sums::default(),
            });
            site.sums.blocks = site.sums.blocks.saturating_add(sums.blocks);
            site.sums.bytes = site.sums.bytes.saturating_add(sums.bytes);
            site.sums.peak = site.sums.peak.saturating_add(sums.peak);
            site.sums.left = site.sums.left.saturating_add(sums.left);
            site.sums.left_blocks = site.sums.left_blocks.saturating_add(sums.left_blocks);
        }
        let mut sites: Vec<Site> = sites.into_values().collect();
        sites.sort_unstable_by_key(|site| {
            let sums = &site.sums;
            std::cmp::Reverse((sums.peak.max(sums.left), sums.bytes, site.name))
        });
        sites.retain(|site| site.sums.blocks > 0);
        sites.truncate(SITES);
        sites
    }

    /// The names of a stack's frames, from its call site outward.
    pub(super) fn stack(&self, stack: u32) -> Vec<u32> {
        let stack = stack as usize;
        let Some(frames) = self.stacks.get(stack) else {
            return Vec::new();
        };
        frames
            .iter()
            .skip(self.sites[stack])
            .take(12)
            .copied()
            .collect()
    }

    /// The flame graph: stacks from the outermost frame to the call site. Nodes too small to be
    /// seen in any measure are left out.
    pub(super) fn flame(&self, stacks: &[Sums]) -> Vec<Node> {
        let mut nodes = vec![Node {
            name: u32::MAX,
            parent: 0,
            sums: [0; 4],
        }];
        let mut children: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        for (stack, sums) in stacks.iter().enumerate() {
            let sums = [sums.bytes, sums.blocks, sums.peak, sums.left];
            if sums[1] == 0 {
                continue;
            }
            let add = |node: &mut Node| {
                for (sum, more) in node.sums.iter_mut().zip(sums) {
                    *sum = sum.saturating_add(more);
                }
            };
            add(&mut nodes[0]);
            let mut at = 0u32;
            let frames = self.stacks.get(stack).map_or(&[][..], |frames| {
                &frames[self.sites[stack].min(frames.len())..]
            });
            for &name in frames.iter().rev() {
                let next = nodes.len() as u32;
                let child = *children.entry((at, name)).or_insert(next);
                if child == next {
                    nodes.push(Node {
                        name,
                        parent: at,
                        sums: [0; 4],
                    });
                }
                add(&mut nodes[child as usize]);
                at = child;
            }
        }
        let whole = nodes[0].sums;
        let mut parts = 5_000;
        loop {
            let seen = |node: &Node| {
                let large = |(sum, whole): (&u64, &u64)| *sum > *whole / parts;
                node.sums.iter().zip(&whole).any(large)
            };
            let mut number = vec![None; nodes.len()];
            let mut kept: Vec<Node> = Vec::new();
            for (index, node) in nodes.iter().enumerate() {
                // A parent is at least as large as its children, and before them.
                let parent = number[node.parent as usize].unwrap_or(0);
                if index == 0 || seen(node) {
                    number[index] = Some(kept.len() as u32);
                    kept.push(Node {
                        parent,
                        ..node.clone()
                    });
                }
            }
            if kept.len() <= NODES || parts < 20 {
                return kept;
            }
            parts /= 2;
        }
    }
}

/// A call site: the function, and the line where it is known.
fn label_of(frame: &Frame) -> String {
    if frame.line == 0 {
        return frame.function.clone();
    }
    let file = frame.file.rsplit('/').next().unwrap_or("");
    format!("{} ({file}:{})", frame.function, frame.line)
}
