//! The buffers that a stay reads into and its writers write from: a bound on the memory of all
//! stays together, which no stay can use up for the others.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::base::direct_io::AlignedBuf;

/// Bytes read at a time. A multiple of the hash block, so that a journaled state has no rest.
pub const BLOCK: usize = 256 << 10;
/// Blocks of all stays together (12 MiB); with very many stays each still gets `LEAST`.
const ALL: usize = 48;
/// Blocks of one stay: enough to read on during a sync, and to read while another is written.
const MOST: usize = 16;
const LEAST: usize = 2;

/// How many stays share the memory.
#[derive(Default)]
pub struct Budget(AtomicUsize);

/// The buffers of one stay; an empty pool is what makes a reader wait for its writers.
pub struct Pool {
    budget: Arc<Budget>,
    state: Mutex<State>,
    back: Condvar,
}

#[derive(Default)]
struct State {
    out: usize,
    free: Vec<AlignedBuf>,
}

impl Pool {
    /// A pool for one more stay.
    pub fn new(budget: Arc<Budget>) -> Arc<Self> {
        budget.0.fetch_add(1, SeqCst);
        Arc::new(Self { budget, state: Mutex::default(), back: Condvar::new() })
    }

    fn share(&self) -> usize {
        (ALL / self.budget.0.load(SeqCst).max(1)).clamp(LEAST, MOST)
    }

    /// A buffer; waits until one is given back where the stay has its share.
    pub fn take(self: &Arc<Self>) -> Block {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.out >= self.share() {
            state = self.back.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.out += 1;
        let bytes = state.free.pop().unwrap_or_else(|| AlignedBuf::new(BLOCK));
        Block { bytes: Some(bytes), len: 0, pool: Arc::clone(self) }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(1, SeqCst);
    }
}

/// A buffer that returns to its pool.
pub struct Block {
    bytes: Option<AlignedBuf>,
    len: usize,
    pool: Arc<Pool>,
}

impl Block {
    /// The whole buffer, to be filled.
    pub fn whole(&mut self) -> &mut [u8] {
        self.bytes.as_mut().map_or(&mut [], AlignedBuf::bytes_mut)
    }

    /// Says how much of it was filled.
    pub fn set_filled(&mut self, len: usize) {
        self.len = len.min(BLOCK);
    }

    /// What it was filled with.
    pub fn filled(&self) -> &[u8] {
        self.bytes.as_ref().map_or(&[], |b| &b.bytes()[..self.len])
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(bytes) = self.bytes.take() {
            let mut state = self.pool.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.out -= 1;
            // Another stay may have come: its share is given up here.
            if state.out + state.free.len() < self.pool.share() {
                state.free.push(bytes);
            }
            self.pool.back.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_share_what_there_is() {
        let budget = Arc::new(Budget::default());
        let alone = Pool::new(Arc::clone(&budget));
        assert_eq!(alone.share(), MOST);
        let held: Vec<_> = (0..MOST).map(|_| alone.take()).collect();
        let others: Vec<_> = (0..11).map(|_| Pool::new(Arc::clone(&budget))).collect();
        assert_eq!(alone.share(), ALL / 12);
        drop(held);
        assert_eq!(alone.state.lock().unwrap().free.len(), ALL / 12, "more is kept than the share");
        drop(others);
        assert_eq!(alone.share(), MOST);
    }

    #[test]
    fn a_reader_waits_for_its_writers() {
        let pool = Pool::new(Arc::default());
        let mut held: Vec<_> = (0..MOST).map(|_| pool.take()).collect();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| pool.take().filled().len());
            held.pop();
            assert_eq!(next.join().unwrap(), 0);
        });
    }
}
