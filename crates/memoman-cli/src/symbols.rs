//! Names for return addresses: function, source file and line, by the modules of a trace.

use std::collections::HashMap;

use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use memoman_trace::{Module, Trace};

/// A function in a stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Frame {
    /// The function's name, demangled; without a symbol, the module and the address in it.
    pub(crate) function: String,
    /// The source file, empty when unknown.
    pub(crate) file: String,
    /// The line, 0 when unknown.
    pub(crate) line: u32,
    /// The file that was mapped, empty when unknown.
    pub(crate) module: String,
}

/// Resolves addresses, each once.
pub(crate) struct Symbols<'a> {
    trace: &'a Trace,
    symbolizer: Symbolizer,
    known: HashMap<u64, Vec<Frame>>,
}

impl<'a> Symbols<'a> {
    /// Names for the addresses of this trace.
    pub(crate) fn new(trace: &'a Trace) -> Symbols<'a> {
        Symbols {
            trace,
            symbolizer: Symbolizer::builder()
                .enable_code_info(true)
                .enable_inlined_fns(true)
                .enable_demangling(false)
                .build(),
            known: HashMap::new(),
        }
    }

    /// The frames of a return address: the innermost inlined function first.
    pub(crate) fn frames(&mut self, address: u64) -> &[Frame] {
        if !self.known.contains_key(&address) {
            let frames = self.resolve(address);
            self.known.insert(address, frames);
        }
        self.known.get(&address).map_or(&[], Vec::as_slice)
    }

    /// The module of an address: the latest one that was there.
    pub(crate) fn module(&self, address: u64) -> Option<&'a Module> {
        let modules = self.trace.modules().iter().rev();
        modules
            .into_iter()
            .find(|module| (module.start..module.end).contains(&address))
    }

    fn resolve(&self, address: u64) -> Vec<Frame> {
        let Some(module) = self.module(address) else {
            return vec![Frame {
                function: format!("{address:#x}"),
                file: String::new(),
                line: 0,
                module: String::new(),
            }];
        };
        // The call itself lies before the address that it returns to.
        let offset = address.wrapping_sub(module.offset).wrapping_sub(1);
        let name = module.path.rsplit('/').next().unwrap_or_default();
        let plain = || Frame {
            function: format!("{name}+{offset:#x}"),
            file: String::new(),
            line: 0,
            module: module.path.clone(),
        };
        let source = Source::Elf(Elf::new(&module.path));
        let found = self
            .symbolizer
            .symbolize_single(&source, Input::VirtOffset(offset));
        let Ok(Symbolized::Sym(symbol)) = found else {
            return vec![plain()];
        };
        let frame = |function: &str, code: Option<&blazesym::symbolize::CodeInfo<'_>>| Frame {
            function: demangled(function),
            file: code.map_or(String::new(), |code| code.to_path().display().to_string()),
            line: code.and_then(|code| code.line).unwrap_or(0),
            module: module.path.clone(),
        };
        // blazesym names the outer function first.
        let mut frames: Vec<Frame> = symbol
            .inlined
            .iter()
            .rev()
            .map(|inlined| frame(&inlined.name, inlined.code_info.as_ref()))
            .collect();
        frames.push(frame(&symbol.name, symbol.code_info.as_deref()));
        frames
    }
}

/// A symbol's name as its language writes it. C's names stay as they are: `t` is no C++ type.
fn demangled(name: &str) -> String {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    name.starts_with("_Z")
        .then(|| cpp_demangle::Symbol::new(name).ok()?.demangle().ok())
        .flatten()
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::demangled;

    #[test]
    fn names_are_those_of_their_languages() {
        for (symbol, name) in [
            ("t", "t"),
            ("main", "main"),
            ("_start", "_start"),
            ("_ZN3std6vectorEi", "std::vector(int)"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_Z", "_Z"),
        ] {
            assert_eq!(demangled(symbol), name);
        }
    }
}
