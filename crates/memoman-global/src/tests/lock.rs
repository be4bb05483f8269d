//! The lock on real threads.

use crate::process::lock::{Lock, Taken};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::boxed::Box;
use std::thread;
use std::vec::Vec;

fn new() -> &'static Lock {
    Box::leak(Box::new(Lock::new()))
}

fn inheriting() -> &'static Lock {
    let lock = new();
    assert!(lock.with(|| lock.inherit_priority()));
    lock
}

#[test]
fn excludes_other_threads() {
    struct Counter(UnsafeCell<usize>);
    // SAFETY: accessed under the lock only.
    unsafe impl Sync for Counter {}
    for lock in [new(), inheriting()] {
        let counter: &'static Counter = Box::leak(Box::new(Counter(UnsafeCell::new(0))));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn(move || {
                    for _ in 0..10_000 {
                        // SAFETY: the lock is held.
                        lock.with(|| unsafe { *counter.0.get() += 1 });
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        // SAFETY: all threads have ended.
        assert_eq!(unsafe { *counter.0.get() }, 40_000);
    }
}

#[test]
fn the_mutex_comes_before_the_word_only_where_priority_is_inherited() {
    let lock = new();
    let taken = lock.take().unwrap();
    assert_eq!(taken, Taken::Word);
    lock.put_back(taken);
    let lock = inheriting();
    let taken = lock.take().unwrap();
    assert_eq!(taken, Taken::Both);
    let (other, waits) = waiting(lock);
    assert!(waits);
    lock.put_back(taken);
    other.join().unwrap();
}

#[test]
fn the_forking_thread_takes_the_lock_again_and_the_child_can_use_it() {
    for lock in [new(), inheriting()] {
        lock.prefork();
        assert_eq!(lock.with(|| lock.with(|| 7)), 7);
        // A fork in a fork handler.
        lock.prefork();
        assert!(!lock.is_last_fork());
        lock.postfork();
        assert!(lock.is_last_fork());
        lock.postfork_child(false);
        assert_eq!(
            thread::scope(|s| s.spawn(|| lock.with(|| 8)).join()).unwrap(),
            8
        );
        lock.prefork();
        lock.postfork();
        assert_eq!(
            thread::scope(|s| s.spawn(|| lock.with(|| 9)).join()).unwrap(),
            9
        );
    }
}

/// A thread that has taken the lock only after its release, and whether it waited.
fn waiting(lock: &'static Lock) -> (thread::JoinHandle<()>, bool) {
    let entered: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let other = thread::spawn(|| lock.with(|| entered.store(true, Ordering::SeqCst)));
    thread::sleep(std::time::Duration::from_millis(100));
    (other, !entered.load(Ordering::SeqCst))
}

#[test]
fn a_thread_sleeps_until_the_lock_is_released() {
    for lock in [new(), inheriting()] {
        let taken = lock.take().unwrap();
        let (other, waits) = waiting(lock);
        assert!(waits);
        lock.put_back(taken);
        other.join().unwrap();
    }
}

#[test]
fn a_fork_refuses_the_sections_of_other_threads() {
    for lock in [new(), inheriting()] {
        lock.prefork();
        let refused = thread::spawn(|| (lock.is_away(), lock.try_with(|| 1)));
        assert_eq!(refused.join().unwrap(), (true, None));
        assert!(!lock.is_away());
        let (other, waits) = waiting(lock);
        assert!(waits);
        lock.postfork();
        other.join().unwrap();
        assert_eq!(lock.try_with(|| 1), Some(1));
    }
}

/// Threads that sleep when the fork begins are refused, too.
#[test]
fn a_fork_wakes_the_sleepers() {
    static REFUSED: AtomicUsize = AtomicUsize::new(0);
    for lock in [new(), inheriting()] {
        REFUSED.store(0, Ordering::SeqCst);
        let taken = lock.take().unwrap();
        let sleepers: Vec<_> = (0..3)
            .map(|_| {
                thread::spawn(|| {
                    if lock.try_with(|| ()).is_none() {
                        REFUSED.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        thread::sleep(std::time::Duration::from_millis(100));
        // As in a signal handler that has interrupted the section.
        lock.prefork();
        lock.closed();
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        assert_eq!(REFUSED.load(Ordering::SeqCst), 3);
        lock.postfork();
        lock.put_back(taken);
        assert_eq!(lock.with(|| 1), 1);
    }
}

/// A wake that is not the fork's end, by a signal, ends no wait and wakes no other thread: else it
/// would go round among those that wait until none of them waits any more.
#[test]
#[cfg(all(target_os = "linux", feature = "announced-threads", not(memoman_debug)))]
fn a_signal_does_not_have_threads_wait_in_vain() {
    use std::os::unix::thread::JoinHandleExt;
    use std::time::Duration;

    extern "C" fn nothing(_: libc::c_int) {}
    let lock = new();
    // SAFETY: a handler that does nothing.
    unsafe { libc::signal(libc::SIGUSR2, nothing as *const () as libc::sighandler_t) };
    // The forking thread waits for those inside their heaps: so the wait of others is repeated.
    lock.prefork();
    let waiting: Vec<_> = (0..4)
        .map(|_| thread::spawn(|| lock.try_with(|| 1)))
        .collect();
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(4));
        for one in &waiting {
            // SAFETY: not joined yet.
            unsafe { libc::pthread_kill(one.as_pthread_t(), libc::SIGUSR2) };
        }
    }
    lock.closed();
    lock.postfork();
    for one in waiting {
        assert_eq!(one.join().unwrap(), Some(1));
    }
}

#[test]
fn an_interrupted_section_is_recognised() {
    for lock in [new(), inheriting()] {
        let taken = lock.take().unwrap();
        // What follows may run in a signal handler.
        assert!(lock.is_away());
        assert_eq!(lock.try_with(|| 1), None);
        lock.prefork();
        assert!(lock.is_nested() && lock.is_away());
        assert_eq!(lock.try_with(|| 1), None);
        lock.postfork_child(true);
        assert_eq!(lock.try_with(|| 1), None);
        lock.put_back(taken);
        assert!(!lock.is_away());
        assert_eq!(lock.try_with(|| lock.take_unsettled()), Some(true));
        assert_eq!(lock.try_with(|| lock.take_unsettled()), Some(false));
        lock.prefork();
        assert!(!lock.is_nested());
        lock.postfork();
        assert_eq!(
            thread::scope(|s| s.spawn(|| lock.with(|| 8)).join()).unwrap(),
            8
        );
    }
}

/// A sandbox refuses to let threads sleep: they go on trying.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(memoman_debug)))]
fn works_where_the_system_refuses_to_let_threads_sleep() {
    use super::support::quietly;
    use std::time::Duration;

    let name = "works_where_the_system_refuses_to_let_threads_sleep";
    quietly(name, &[], || {
        static BEGUN: AtomicBool = AtomicBool::new(false);
        static DONE: AtomicUsize = AtomicUsize::new(0);
        static SUM: AtomicUsize = AtomicUsize::new(0);
        let lock = new();
        for _ in 0..4 {
            // Not joined: the C library sleeps so, too, when threads end at the same time.
            thread::spawn(move || {
                while !BEGUN.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                for turn in 0..2000 {
                    lock.with(|| {
                        let sum = SUM.load(Ordering::Relaxed);
                        if turn % 100 == 0 {
                            thread::yield_now();
                        }
                        SUM.store(sum + 1, Ordering::Relaxed);
                    });
                }
                DONE.fetch_add(1, Ordering::SeqCst);
                loop {
                    thread::sleep(Duration::from_secs(1));
                }
            });
        }
        let step = |code: u32, jt, jf, k| libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
        let equals = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        let wait = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as u32;
        let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
        // Offsets of the call's number and of the low half of its second argument.
        let mut steps = [
            step(load, 0, 0, 0),
            step(equals, 0, 3, libc::SYS_futex as u32),
            step(load, 0, 0, 24),
            step(equals, 0, 1, wait),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, refuse),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let filter = libc::sock_fprog {
            len: steps.len() as u16,
            filter: steps.as_mut_ptr(),
        };
        let (mode, all) = (
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
        );
        // SAFETY: the filter lives until the call has copied it.
        unsafe {
            assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
            assert_eq!(libc::syscall(libc::SYS_seccomp, mode, all, &filter), 0);
        }
        BEGUN.store(true, Ordering::SeqCst);
        while DONE.load(Ordering::SeqCst) < 4 {
            thread::yield_now();
        }
        assert_eq!(SUM.load(Ordering::Relaxed), 8000);
    });
}

/// As in a child that no fork handler has prepared.
#[test]
#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
fn a_lost_lock_refuses_each_section_without_a_wait() {
    for lock in [new(), inheriting()] {
        let taken = lock.take().unwrap();
        assert!(!lock.is_anothers_in_child());
        thread::spawn(move || {
            assert!(lock.is_anothers_in_child());
            lock.lose();
            for _ in 0..3 {
                assert!(lock.is_lost() && lock.is_away());
                assert_eq!(lock.take(), None);
                assert_eq!(lock.try_with(|| ()), None);
                assert!(!lock.pass());
                // The process-wide instance refuses the section by itself.
                assert!(lock.with(|| lock.is_lost()));
                // A fork in such a child.
                lock.prefork();
                assert_eq!(lock.take(), None);
                lock.closed();
                lock.postfork();
            }
            lock.prefork();
            lock.closed();
            lock.postfork_child(true);
            assert_eq!(lock.take(), None);
        })
        .join()
        .unwrap();
        // The section of a thread that is there after all ends without a trace.
        lock.put_back(taken);
        assert!(lock.is_lost());
    }
}
