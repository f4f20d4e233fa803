//! What is known of this process when somebody asks, by the names that all exporters have for it.

use std::fmt;

use procfs::{
    WithCurrentSystemInfo as _,
    process::{LimitValue, Process as Proc},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// This process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process;

/// What `/proc` says of it.
struct Known {
    cpu_seconds: f64,
    start_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: u64,
    open_fds: u64,
    max_fds: Option<u64>,
}

// === impl Process ===

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // Where `/proc` is closed, the rest of the metrics is good all the same.
        Known::now().map_or(Ok(()), |known| known.encode(encoder))
    }
}

// === impl Known ===

impl Known {
    fn now() -> procfs::ProcResult<Self> {
        let process = Proc::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second();
        let max_fds = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Value(limit) => Some(limit),
            LimitValue::Unlimited => None,
        };
        Ok(Self {
            cpu_seconds: seconds(stat.utime + stat.stime, ticks),
            start_seconds: seconds(procfs::boot_time_secs()? * ticks + stat.starttime, ticks),
            resident_bytes: stat.rss_bytes().get(),
            virtual_bytes: stat.vsize,
            threads: u64::try_from(stat.num_threads).unwrap_or_default(),
            open_fds: u64::try_from(process.fd_count()?).unwrap_or(u64::MAX),
            max_fds,
        })
    }

    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        let mut tell = |name, help, unit, metric: &dyn EncodeMetric| {
            let encoder = encoder.encode_descriptor(name, help, unit, metric.metric_type())?;
            metric.encode(encoder)
        };
        let cpu = ConstCounter::new(self.cpu_seconds);
        tell("process_cpu", "CPU time, of user and system.", seconds, &cpu)?;
        let start = ConstGauge::new(self.start_seconds);
        tell("process_start_time", "When it was started, in Unix time.", seconds, &start)?;
        let resident = ConstGauge::new(self.resident_bytes);
        tell("process_resident_memory", "Memory that is in use.", bytes, &resident)?;
        let reserved = ConstGauge::new(self.virtual_bytes);
        tell("process_virtual_memory", "Memory that is reserved.", bytes, &reserved)?;
        tell("process_threads", "Threads.", None, &ConstGauge::new(self.threads))?;
        tell("process_open_fds", "Open files and sockets.", None, &ConstGauge::new(self.open_fds))?;
        match self.max_fds {
            Some(max) => {
                tell("process_max_fds", "The most there may be.", None, &ConstGauge::new(max))
            }
            None => Ok(()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "as exact as ever needed")]
fn seconds(ticks: u64, per_second: u64) -> f64 {
    ticks as f64 / per_second as f64
}
