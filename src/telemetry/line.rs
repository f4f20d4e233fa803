//! A line of the log.
//!
//! Each call has one, so they are written by hand: with the library's own format, a line was a tenth
//! of a call's instructions. They look the same.

use std::fmt::{self, Write as _};

use jiff::{
    Timestamp,
    fmt::{StdFmtWrite, temporal::DateTimePrinter},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::LogFormat;

/// The library's own clock writes the time with a dozen calls of the standard formatter.
const TIME: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// How a line is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) format: LogFormat,
    pub(super) color: bool,
}

/// Writes the fields of an event in their order. The macros put the message first.
struct Fields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    format: LogFormat,
    result: fmt::Result,
}

/// Writes what may have line breaks in it, or what a terminal would obey.
struct OneLine<'a, 'w>(&'a mut Writer<'w>);

/// The field of an event that has no name in a line of text.
const MESSAGE: &str = "message";

// === impl Line ===

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        match self.format {
            LogFormat::Text => {
                self.dim(&mut writer, time)?;
                self.level(&mut writer, level)?;
                self.dim(&mut writer, |writer| write!(writer, "{target}:"))?;
            }
            LogFormat::Json => {
                writer.write_str("{\"timestamp\":\"")?;
                time(&mut writer)?;
                write!(writer, "\",\"level\":\"{level}\",\"target\":\"{target}\"")?;
            }
        }
        let mut fields = Fields { writer: &mut writer, format: self.format, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        writer.write_str(match self.format {
            LogFormat::Text => "\n",
            LogFormat::Json => "}\n",
        })
    }
}

impl Line {
    fn dim(
        self,
        writer: &mut Writer<'_>,
        write: impl FnOnce(&mut Writer<'_>) -> fmt::Result,
    ) -> fmt::Result {
        if !self.color {
            return write(writer);
        }
        writer.write_str("\x1b[2m")?;
        write(writer)?;
        writer.write_str("\x1b[0m")
    }

    fn level(self, writer: &mut Writer<'_>, level: Level) -> fmt::Result {
        let (name, color) = match level {
            Level::ERROR => ("ERROR", 31),
            Level::WARN => (" WARN", 33),
            Level::INFO => (" INFO", 32),
            Level::DEBUG => ("DEBUG", 34),
            Level::TRACE => ("TRACE", 35),
        };
        if self.color {
            return write!(writer, " \x1b[{color}m{name}\x1b[0m ");
        }
        write!(writer, " {name} ")
    }
}

fn time(writer: &mut Writer<'_>) -> fmt::Result {
    TIME.print_timestamp(&Timestamp::now(), StdFmtWrite(writer)).map_err(|_| fmt::Error)
}

// === impl Fields ===

impl Fields<'_, '_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Self) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.key(field.name()).and_then(|()| value(self));
        }
    }

    fn key(&mut self, name: &str) -> fmt::Result {
        match self.format {
            LogFormat::Text if name == MESSAGE => self.writer.write_str(" "),
            LogFormat::Text => {
                self.writer.write_str(" ")?;
                self.writer.write_str(name)?;
                self.writer.write_str("=")
            }
            LogFormat::Json => {
                self.writer.write_str(",\"")?;
                self.writer.write_str(name)?;
                self.writer.write_str("\":")
            }
        }
    }

    /// A text in quotes. Nothing in it can end the line, or be taken for another field.
    fn quoted(&mut self, text: &str) -> fmt::Result {
        let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if text.bytes().all(plain) {
            self.writer.write_str("\"")?;
            self.writer.write_str(text)?;
            return self.writer.write_str("\"");
        }
        match self.format {
            LogFormat::Text => write!(self.writer, "{text:?}"),
            LogFormat::Json => {
                let json = serde_json::to_string(text).map_err(|_| fmt::Error)?;
                self.writer.write_str(&json)
            }
        }
    }

    /// A message, which needs no quotes.
    fn words(&mut self, text: &str) -> fmt::Result {
        match self.format {
            LogFormat::Text => OneLine(self.writer).write_str(text),
            LogFormat::Json => self.quoted(text),
        }
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            MESSAGE => self.field(field, |it| it.words(value)),
            _ => self.field(field, |it| it.quoted(value)),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |it| write!(it.writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |it| write!(it.writer, "{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.field(field, |it| write!(it.writer, "{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.field(field, |it| write!(it.writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |it| it.writer.write_str(if value { "true" } else { "false" }));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // Infinite ones are no JSON; there are none here.
        self.field(field, |it| write!(it.writer, "{value:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match self.format {
            LogFormat::Text => self.field(field, |it| write!(OneLine(it.writer), "{value:?}")),
            LogFormat::Json => self.field(field, |it| it.quoted(&format!("{value:?}"))),
        }
    }
}

// === impl OneLine ===

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(char::is_control) {
            self.0.write_str(&rest[..at])?;
            let char = rest[at..].chars().next().unwrap_or_default();
            write!(self.0, "{}", char.escape_debug())?;
            rest = &rest[at + char.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn lines(format: LogFormat, color: bool, write: impl FnOnce()) -> String {
        let kept = Kept::default();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Line { format, color })
            .with_writer(kept.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, write);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn event() {
        let (none, some) = (None::<u64>, Some("a b"));
        let odd = "a \"b\"\n\u{1b}[31mé";
        let (count, depth, yes, took) = (7_u64, -1_i64, true, 1.5_f64);
        let shown = tracing::field::display("x\ny\u{1b}z");
        tracing::warn!(target: "t", some, none, odd, count, depth, yes, took, shown, "it {}\n", 1);
    }

    #[test]
    fn a_line_of_text_is_one_line_whatever_is_in_it() {
        let line = lines(LogFormat::Text, false, event);
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert_eq!(
            rest,
            concat!(
                " WARN t: it 1\\n some=\"a b\" odd=\"a \\\"b\\\"\\n\\u{1b}[31mé\" count=7 depth=-1 yes=true",
                " took=1.5 shown=x\\ny\\u{1b}z\n"
            )
        );
    }

    #[test]
    fn a_line_of_json_is_an_object() {
        let line = lines(LogFormat::Json, true, event);
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line}");
        let mut object: serde_json::Value = serde_json::from_str(&line).unwrap();
        let timestamp = object.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(timestamp.as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        let expected = serde_json::json!({
            "level": "WARN", "target": "t", "message": "it 1\n", "some": "a b",
            "odd": "a \"b\"\n\u{1b}[31mé", "count": 7, "depth": -1, "yes": true,
            "took": 1.5, "shown": "x\ny\u{1b}z",
        });
        let object = object.as_object().unwrap();
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&object[key], value, "{key}");
        }
    }

    #[test]
    fn colors_are_for_terminals_only() {
        assert!(lines(LogFormat::Text, true, event).contains("\u{1b}[33m WARN"));
        assert!(!lines(LogFormat::Text, false, event).contains('\u{1b}'));
    }
}
