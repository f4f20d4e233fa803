//! Metrics in the shape of OTLP, made of their OpenMetrics text.
//!
//! The registry tells its contents as text only. The other way round, instruments of OpenTelemetry's
//! that tell Prometheus, there would be no histogram that only counts when somebody asks.

use std::{
    mem,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ScopeMetrics, Sum, metric::Data, number_data_point,
    },
};

/// From when to when something was counted, in nanoseconds of Unix time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What a text says before the samples of a metric.
#[derive(Default)]
struct Family<'t> {
    name: &'t str,
    help: &'t str,
    kind: &'t str,
    unit: &'t str,
}

/// One sample of a text.
struct Sample<'t> {
    name: &'t str,
    labels: Vec<(&'t str, String)>,
    value: &'t str,
}

/// All metrics of a text that this program has written.
pub(super) fn metrics(text: &str, period: Period) -> ScopeMetrics {
    let mut metrics: Vec<Metric> = Vec::new();
    let mut family = Family::default();
    let mut new = false;
    for line in text.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            if let Some(sample) = Sample::parse(line) {
                if mem::take(&mut new) {
                    metrics.push(family.metric());
                }
                if let Some(data) = metrics.last_mut().and_then(|metric| metric.data.as_mut()) {
                    add(data, &family, sample, period);
                }
            }
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("HELP"), Some(name), Some(help)) => {
                family = Family { name, help, ..Family::default() };
                new = true;
            }
            (Some("TYPE"), Some(_), Some(kind)) => family.kind = kind,
            (Some("UNIT"), Some(_), Some(unit)) => family.unit = unit,
            _ => {}
        }
    }
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }
}

/// The time, as OTLP has it.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn add(data: &mut Data, family: &Family<'_>, sample: Sample<'_>, period: Period) {
    match data {
        Data::Sum(sum) => sum.data_points.push(sample.number(period)),
        Data::Gauge(gauge) => gauge.data_points.push(sample.number(period)),
        Data::Histogram(histogram) => {
            sample.count(family, &mut histogram.data_points, period);
        }
        Data::ExponentialHistogram(_) | Data::Summary(_) => {}
    }
}

// === impl Family ===

impl Family<'_> {
    /// The metric without its values.
    fn metric(&self) -> Metric {
        let temporality = AggregationTemporality::Cumulative.into();
        let data = match self.kind {
            "counter" => Data::Sum(Sum {
                aggregation_temporality: temporality,
                is_monotonic: true,
                ..Sum::default()
            }),
            "histogram" => Data::Histogram(Histogram {
                aggregation_temporality: temporality,
                ..Histogram::default()
            }),
            _ => Data::Gauge(Gauge::default()),
        };
        let unit = match self.unit {
            "seconds" => "s",
            "bytes" => "By",
            other => other,
        };
        Metric {
            name: self.name(),
            description: self.help.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }

    /// OpenTelemetry's name: dots between namespaces, and no unit. Made a name of Prometheus' by
    /// the usual rule, it is the one it was.
    fn name(&self) -> String {
        let name =
            self.name.strip_suffix(self.unit).map_or(self.name, |it| it.trim_end_matches('_'));
        let info = if self.kind == "info" { "_info" } else { "" };
        match name.split_once('_') {
            // Those of the semantic conventions, of which all words are namespaces.
            Some(("rpc" | "http", _)) => name.replace('_', "."),
            Some((space, rest)) => format!("{space}.{rest}{info}"),
            None => name.to_owned(),
        }
    }
}

// === impl Sample ===

impl<'t> Sample<'t> {
    /// Reads `name{label="value",..} value`, as the registry writes it.
    fn parse(line: &'t str) -> Option<Self> {
        let (name, rest) = line.split_at_checked(line.find(['{', ' '])?)?;
        let mut labels = Vec::new();
        let Some(mut rest) = rest.strip_prefix('{') else {
            return Some(Self { name, labels, value: rest.trim_start() });
        };
        loop {
            if let Some(value) = rest.strip_prefix("} ") {
                return Some(Self { name, labels, value });
            }
            let (label, quoted) = rest.trim_start_matches(',').split_once("=\"")?;
            let (value, after) = unquote(quoted)?;
            labels.push((label, value));
            rest = after;
        }
    }

    fn number(self, period: Period) -> NumberDataPoint {
        let value = match self.value.parse() {
            Ok(whole) => number_data_point::Value::AsInt(whole),
            Err(_) => number_data_point::Value::AsDouble(self.value.parse().unwrap_or(f64::NAN)),
        };
        NumberDataPoint {
            attributes: attributes(&self.labels),
            start_time_unix_nano: period.start,
            time_unix_nano: period.end,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    /// Adds it to the histogram it is a part of, which is the last one or a new one.
    fn count(mut self, family: &Family<'_>, points: &mut Vec<HistogramDataPoint>, period: Period) {
        let bound = self.labels.iter().position(|(name, _)| *name == "le");
        let bound = bound.map(|index| self.labels.remove(index).1);
        let attributes = attributes(&self.labels);
        if points.last().is_none_or(|last| last.attributes != attributes) {
            points.push(HistogramDataPoint {
                attributes,
                start_time_unix_nano: period.start,
                time_unix_nano: period.end,
                ..HistogramDataPoint::default()
            });
        }
        let Some(point) = points.last_mut() else { return };
        let part = self.name.strip_prefix(family.name);
        match (part, bound) {
            (Some("_sum"), _) => point.sum = self.value.parse().ok(),
            (Some("_count"), _) => point.count = self.value.parse().unwrap_or_default(),
            (Some("_bucket"), Some(bound)) => {
                // Here each bucket has those of the lower ones in it; there it does not.
                let lower: u64 = point.bucket_counts.iter().sum();
                let all: u64 = self.value.parse().unwrap_or_default();
                point.bucket_counts.push(all.saturating_sub(lower));
                let bound = bound.parse().ok().filter(|bound: &f64| bound.is_finite());
                point.explicit_bounds.extend(bound);
            }
            _ => {}
        }
    }
}

/// A quoted text up to its closing quote, and what is behind that.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return text.get(at + 1..).map(|rest| (plain, rest)),
            '\\' => plain.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => plain.push(other),
        }
    }
    None
}

fn attributes(labels: &[(&str, String)]) -> Vec<KeyValue> {
    let attribute = |(name, value): &(&str, String)| {
        // Numbers in the conventions, where they are ones: not so `5xx`.
        let number = name.ends_with("_port") || name.ends_with("_response_status_code");
        let number = number.then(|| value.parse().ok()).flatten();
        let value = number.map_or_else(
            || any_value::Value::StringValue(value.clone()),
            any_value::Value::IntValue,
        );
        KeyValue {
            key: name.replace('_', ".").replace("status.code", "status_code"),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }
    };
    labels.iter().map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Period = Period { start: 1, end: 2 };

    fn read(text: &str) -> Vec<Metric> {
        metrics(text, PERIOD).metrics
    }

    fn texts(attributes: &[KeyValue]) -> Vec<(&str, String)> {
        let text = |pair: &KeyValue| match pair.value.clone().unwrap().value.unwrap() {
            any_value::Value::StringValue(text) => text,
            any_value::Value::IntValue(number) => format!("number {number}"),
            other => panic!("{other:?}"),
        };
        attributes.iter().map(|pair| (pair.key.as_str(), text(pair))).collect()
    }

    #[test]
    fn names_and_units_are_those_of_open_telemetry() {
        for (text, name, unit) in [
            (
                "# TYPE jobgate_shared_calls counter\njobgate_shared_calls_total 1",
                "jobgate.shared_calls",
                "",
            ),
            ("# TYPE jobgate_build info\njobgate_build_info 1", "jobgate.build_info", ""),
            (
                "# TYPE http_client_request_duration_seconds histogram\n\
                 # UNIT http_client_request_duration_seconds seconds\n\
                 http_client_request_duration_seconds_sum 1.0",
                "http.client.request.duration",
                "s",
            ),
            (
                "# TYPE process_resident_memory_bytes gauge\n\
                 # UNIT process_resident_memory_bytes bytes\n\
                 process_resident_memory_bytes 1",
                "process.resident_memory",
                "By",
            ),
        ] {
            let family = text.split(' ').nth(2).unwrap();
            let metric = &read(&format!("# HELP {family} What it is.\n{text}\n# EOF"))[0];
            assert_eq!((&*metric.name, &*metric.unit), (name, unit));
            assert_eq!(metric.description, "What it is.");
        }
    }

    #[test]
    fn numbers_stay_what_they_were() {
        let read = read(
            "# HELP a_b B\n# TYPE a_b counter\na_b_total{by=\"x\"} 7\na_b_total{by=\"y\"} 8\n\
             # HELP a_none None\n# TYPE a_none counter\n\
             # HELP a_c C\n# TYPE a_c gauge\na_c -1.5\n# EOF\n",
        );
        let [b, c] = &read[..] else { panic!("{read:?}") };
        let Some(Data::Sum(sum)) = &b.data else { panic!("{b:?}") };
        assert!(sum.is_monotonic);
        assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Cumulative);
        let values: Vec<_> = sum.data_points.iter().map(|it| it.value.unwrap()).collect();
        assert_eq!(values, [7, 8].map(number_data_point::Value::AsInt));
        assert_eq!(texts(&sum.data_points[1].attributes), [("by", "y".to_owned())]);
        let Some(Data::Gauge(gauge)) = &c.data else { panic!("{c:?}") };
        let point = &gauge.data_points[0];
        assert_eq!(point.value, Some(number_data_point::Value::AsDouble(-1.5)));
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 2));
    }

    #[test]
    fn buckets_hold_their_own_only_and_histograms_are_told_apart() {
        let series = |status: &str| {
            format!(
                "d_sum{{http_response_status_code=\"{status}\"}} 3.5\n\
                 d_count{{http_response_status_code=\"{status}\"}} 6\n\
                 d_bucket{{le=\"0.5\",http_response_status_code=\"{status}\"}} 1\n\
                 d_bucket{{le=\"1.0\",http_response_status_code=\"{status}\"}} 4\n\
                 d_bucket{{le=\"+Inf\",http_response_status_code=\"{status}\"}} 6\n"
            )
        };
        let text = format!("# HELP d D\n# TYPE d histogram\n{}{}", series("200"), series("5xx"));
        let read = read(&text);
        let Some(Data::Histogram(histogram)) = &read[0].data else { panic!("{read:?}") };
        let [ok, failed] = &histogram.data_points[..] else { panic!("{read:?}") };
        for point in [ok, failed] {
            assert_eq!((point.sum, point.count), (Some(3.5), 6));
            assert_eq!(point.explicit_bounds, [0.5, 1.0]);
            assert_eq!(point.bucket_counts, [1, 3, 2]);
        }
        let key = "http.response.status_code";
        assert_eq!(texts(&ok.attributes), [(key, "number 200".to_owned())]);
        assert_eq!(texts(&failed.attributes), [(key, "5xx".to_owned())]);
    }

    #[test]
    fn values_of_labels_are_unquoted() {
        let line = r#"a{one="x\\y\"},\nz",error_type="",two="b"} 1"#;
        let sample = Sample::parse(line).unwrap();
        assert_eq!((sample.name, sample.value), ("a", "1"));
        assert_eq!(sample.labels[0], ("one", "x\\y\"},\nz".to_owned()));
        assert_eq!(sample.labels[1], ("error_type", String::new()));
        assert_eq!(texts(&attributes(&sample.labels))[1].0, "error.type");
        for line in ["", "a", "a{", "a{b", "a{b=\"", "a{b=\"c\""] {
            assert!(Sample::parse(line).is_none(), "{line}");
        }
    }
}
