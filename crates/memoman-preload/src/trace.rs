//! `MEMOMAN_TRACE=FILE`: at load, the program is started anew with the recorder in front of this
//! library. `memoman record` is the long form of it.

use core::ffi::{CStr, c_char, c_void};
use core::ptr;

unsafe extern "C" {
    /// glibc's and musl's getenv that finds nothing in a set-user-id program.
    fn secure_getenv(name: *const c_char) -> *const c_char;
}

/// Where the recorder is, from this library's folder: built, installed, installed by Debian.
const PLACES: [&CStr; 4] = [
    c"/lib/libmemoman_record.so",
    c"/memoman/libmemoman_record.so",
    c"/../memoman/libmemoman_record.so",
    c"/libmemoman_record.so",
];
/// Bytes of the longest path that the recorder takes.
const LONGEST: usize = 900;

/// Before the program's own constructors.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = {
    extern "C" fn at_load() {
        // SAFETY: before the program's first instruction no other thread runs. Where `dlopen` loads
        // this library, nothing is changed: it is not in LD_PRELOAD.
        unsafe { start_again() }
    }
    at_load
};

/// A path that is put together.
struct Path {
    text: [u8; 2 * LONGEST],
    length: usize,
}

impl Path {
    const fn new() -> Path {
        Path {
            text: [0; 2 * LONGEST],
            length: 0,
        }
    }

    /// Adds to it, if the result and a zero byte fit.
    fn add(&mut self, part: &[u8]) -> Option<()> {
        let room = self.text.get_mut(self.length..)?;
        if part.len() >= room.len() {
            return None;
        }
        for (to, from) in room.iter_mut().zip(part) {
            *to = *from;
        }
        self.length += part.len();
        Some(())
    }

    fn as_ptr(&self) -> *const c_char {
        self.text.as_ptr().cast()
    }
}

/// Says in one line why the program runs without the recorder.
fn complain(file: &CStr, why: &[u8]) {
    for part in [
        b"memoman: MEMOMAN_TRACE=",
        file.to_bytes(),
        b": ",
        why,
        b"; the program runs without\n",
    ] {
        // SAFETY: the bytes are readable.
        unsafe { libc::write(2, part.as_ptr().cast(), part.len()) };
    }
}

/// # Safety
/// No other thread runs.
unsafe fn start_again() {
    // SAFETY: C strings; values stay until the environment changes (caller).
    let file = unsafe {
        let file = secure_getenv(c"MEMOMAN_TRACE".as_ptr());
        // With the other variable, the recorder is in front.
        if file.is_null() || *file == 0 || !libc::getenv(c"MMT_FILE".as_ptr()).is_null() {
            return;
        }
        CStr::from_ptr(file)
    };
    // SAFETY: no other thread runs (caller).
    unsafe { replace_or_say_why(file) }
}

/// # Safety
/// The duty of [`replace`].
#[cold]
#[inline(never)]
unsafe fn replace_or_say_why(file: &CStr) {
    // SAFETY: no other thread runs (caller).
    if let Some(why) = unsafe { replace(file) } {
        complain(file, why);
    }
}

/// Replaces the program by itself under the recorder, or returns why not.
///
/// # Safety
/// No other thread runs.
unsafe fn replace(file: &CStr) -> Option<&'static [u8]> {
    // SAFETY: C strings, and buffers of the stated lengths.
    unsafe {
        let before = libc::getenv(c"LD_PRELOAD".as_ptr());
        if before.is_null() || !names_this_library(CStr::from_ptr(before).to_bytes()) {
            // A running program that has loaded this library by dlopen does not start again.
            return Some(b"this library is not in LD_PRELOAD");
        }
        if libc::access(file.as_ptr(), libc::F_OK) == 0 {
            return Some(b"the file exists");
        }
        // After `ld.so program`, /proc/self/exe is the dynamic linker.
        if libc::getauxval(libc::AT_BASE) == 0 {
            return Some(b"the dynamic linker was started by name");
        }
        let mut trace = Path::new();
        if file.to_bytes().first() != Some(&b'/') {
            let room = trace.text.as_mut_ptr().cast();
            if libc::getcwd(room, LONGEST).is_null() {
                return Some(b"no working directory");
            }
            trace.length = CStr::from_ptr(trace.as_ptr()).count_bytes();
            trace.add(b"/");
        }
        if trace.add(file.to_bytes()).is_none() || trace.length > LONGEST {
            return Some(b"the path is longer than 900 bytes");
        }
        let Some(recorder) = find() else {
            return Some(b"libmemoman_record.so is not beside this library (make tools)");
        };
        let mut preload = Path::new();
        let fits = preload
            .add(recorder.text.get(..recorder.length)?)
            .and_then(|()| preload.add(b":"))
            .and_then(|()| preload.add(CStr::from_ptr(before).to_bytes()));
        let arguments = arguments();
        if fits.is_none() || arguments.is_null() {
            return Some(b"LD_PRELOAD or the arguments are too long");
        }
        let old = libc::strdup(before);
        libc::setenv(c"LD_PRELOAD".as_ptr(), preload.as_ptr(), 1);
        libc::setenv(c"MMT_FILE".as_ptr(), trace.as_ptr(), 1);
        // By its path, which gives the process its name, where it has one.
        let mut program = Path::new();
        let (room, most) = (program.text.as_mut_ptr().cast(), 2 * LONGEST - 1);
        let length = libc::readlink(c"/proc/self/exe".as_ptr(), room, most);
        // A path of the whole room is cut short.
        if (1..most as isize).contains(&length) {
            libc::execv(program.as_ptr(), arguments);
        }
        libc::execv(c"/proc/self/exe".as_ptr(), arguments);
        libc::unsetenv(c"MMT_FILE".as_ptr());
        if !old.is_null() {
            libc::setenv(c"LD_PRELOAD".as_ptr(), old, 1);
        }
        Some(b"the program cannot be started again")
    }
}

/// This library's path, in two parts: its folder, and its name from the slash on.
fn own_path() -> Option<(&'static [u8], &'static [u8])> {
    // SAFETY: the address is one of this library; the name is a C string, which stays.
    unsafe {
        let mut about: libc::Dl_info = core::mem::zeroed();
        let own = &raw const AT_LOAD;
        if libc::dladdr(own.cast::<c_void>(), &mut about) == 0 || about.dli_fname.is_null() {
            return None;
        }
        let name = CStr::from_ptr(about.dli_fname).to_bytes();
        name.split_at_checked(name.iter().rposition(|byte| *byte == b'/')?)
    }
}

/// The value of LD_PRELOAD has this library's name, with a folder or without.
fn names_this_library(value: &[u8]) -> bool {
    own_path().is_some_and(|(_, name)| {
        let name = name.get(1..).unwrap_or_default();
        value.windows(name.len().max(1)).any(|part| part == name)
    })
}

/// The recorder's path.
fn find() -> Option<Path> {
    let (folder, _) = own_path()?;
    // SAFETY: C strings.
    unsafe {
        PLACES.iter().find_map(|place| {
            let mut path = Path::new();
            path.add(folder)?;
            path.add(place.to_bytes())?;
            (libc::access(path.as_ptr(), libc::R_OK) == 0).then_some(path)
        })
    }
}

/// The program's arguments, from the kernel; null if they cannot be had. Never freed.
fn arguments() -> *const *const c_char {
    // SAFETY: reads into blocks of the stated sizes; a pointer for each zero byte, and a null one.
    unsafe {
        let file = libc::open(
            c"/proc/self/cmdline".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        );
        if file < 0 {
            return ptr::null();
        }
        let (mut text, mut used, mut room) = (ptr::null_mut::<u8>(), 0usize, 0usize);
        let whole = loop {
            if used == room {
                room = room * 2 + 4096;
                let more = libc::realloc(text.cast(), room).cast::<u8>();
                if more.is_null() {
                    break false;
                }
                text = more;
            }
            match libc::read(file, text.add(used).cast(), room - used) {
                read if read > 0 => used += read as usize,
                read => break read == 0,
            }
        };
        libc::close(file);
        if !whole || used == 0 || *text.add(used - 1) != 0 {
            return ptr::null();
        }
        let ends = |at: &usize| *text.add(*at) == 0;
        let count = (0..used).filter(ends).count();
        let list = libc::calloc(count + 1, size_of::<*const c_char>()).cast::<*const c_char>();
        if list.is_null() {
            return ptr::null();
        }
        let mut start = 0;
        for (index, end) in (0..used).filter(ends).enumerate() {
            list.add(index).write(text.add(start).cast());
            start = end + 1;
        }
        list
    }
}
