//! Metrics as text: OpenMetrics, or the older format of Prometheus that everybody reads.

use std::fmt;

use prometheus_client::{encoding::text, registry::Registry};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `OpenMetrics` 1.0.
    Open,
    /// Prometheus' text format 0.0.4.
    Plain,
}

// === impl Format ===

impl Format {
    /// The format for somebody who accepts these media types.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::Open } else { Self::Plain }
    }

    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// All metrics, as they are now.
pub fn write(registry: &Registry, format: Format) -> Result<String, fmt::Error> {
    let mut text = String::new();
    text::encode(&mut text, registry)?;
    Ok(match format {
        Format::Open => text,
        Format::Plain => plain(&text),
    })
}

/// The samples are the same in both. `OpenMetrics` names a family without the suffix of its
/// samples, and has types that are gauges elsewhere.
fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help = None;
    for line in open.lines() {
        let mut words = line.splitn(4, ' ');
        let line = match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(_), Some(words)) => {
                help = Some(words);
                continue;
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    kind => ("", kind),
                };
                let help = help.take().unwrap_or_default();
                &format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}")
            }
            (Some("#"), ..) => continue,
            _ => line,
        };
        text.extend([line, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use prometheus_client::{
        metrics::{counter::Counter, gauge::Gauge, info::Info},
        registry::Unit,
    };

    use super::*;

    #[test]
    fn both_formats_tell_the_same() {
        let mut registry = Registry::default();
        registry.register("calls", "How many", Counter::<u64>::default());
        registry.register_with_unit("age", "How old", Unit::Seconds, Gauge::<i64>::default());
        registry.register("build", "Which", Info::new([("version", "1")]));
        assert_eq!(
            write(&registry, Format::Open).unwrap(),
            "# HELP calls How many.\n# TYPE calls counter\ncalls_total 0\n\
             # HELP age_seconds How old.\n# TYPE age_seconds gauge\n# UNIT age_seconds seconds\n\
             age_seconds 0\n\
             # HELP build Which.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n"
        );
        assert_eq!(
            write(&registry, Format::Plain).unwrap(),
            "# HELP calls_total How many.\n# TYPE calls_total counter\ncalls_total 0\n\
             # HELP age_seconds How old.\n# TYPE age_seconds gauge\nage_seconds 0\n\
             # HELP build_info Which.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n"
        );
    }

    #[test]
    fn the_older_format_is_for_those_who_do_not_ask_for_the_other() {
        let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5,*/*;q=0.1";
        assert_eq!(Format::accepted(prometheus), Format::Open);
        for accept in ["", "*/*", "text/plain;version=0.0.4"] {
            assert_eq!(Format::accepted(accept), Format::Plain, "{accept}");
        }
    }
}
