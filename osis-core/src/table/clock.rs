//! The time limit of a read that looks at many objects.

use std::time::Instant;

use crate::error::{Error, Result};

/// After how many objects the time is looked at: some tens of microseconds of work.
const STRIDE: u32 = 1024;

/// The time limit of a read; copying it is free.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    deadline: Option<Instant>,
    ticks: u32,
}

impl Clock {
    /// Up to an instant, or without limit.
    pub fn until(deadline: Option<Instant>) -> Self {
        Self { deadline, ticks: 0 }
    }

    /// Without limit.
    pub fn none() -> Self {
        Self::until(None)
    }

    /// Whether there is still time.
    ///
    /// # Errors
    /// `Unavailable` if there is none.
    pub fn check(&self) -> Result<()> {
        match self.deadline {
            Some(deadline) if deadline < Instant::now() => Err(Error::too_late()),
            _ => Ok(()),
        }
    }

    /// Counts one object that was looked at; looks at the time now and then.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn tick(&mut self) -> Result<()> {
        self.ticks = self.ticks.wrapping_add(1);
        match self.ticks % STRIDE {
            0 => self.check(),
            _ => Ok(()),
        }
    }
}
