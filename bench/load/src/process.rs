//! CPU time and memory of a process, from `/proc`.

use std::fs;

use anyhow::{Context as _, Result};

/// User and system time so far, in seconds, of all threads that live, by the scheduler's own clock:
/// the ticks of `stat` are hundredths of a second.
pub fn cpu(pid: u32) -> Result<f64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let Ok(line) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let on_cpu = line.split_whitespace().next().context("an empty schedstat")?;
        total += on_cpu.parse::<u64>()?;
    }
    Ok(total as f64 / 1e9)
}

/// Of `VmRSS` (now) or `VmHWM` (at most so far).
pub fn memory_kib(pid: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|it| it.strip_prefix(field)?.strip_prefix(':'));
    Ok(line.and_then(|it| it.split_whitespace().next()).context("no such field")?.parse()?)
}
