//! The live view: remaining life as bars on a terminal, one line for each change elsewhere.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Stdout};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyModifiers};
use jiff::Timestamp;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};
use ratatui::{DefaultTerminal, Frame};

use crate::status::RotationStatus;
use crate::words::span;

/// Cells of a bar.
const BAR: u8 = 18;

/// Everything that one picture shows.
pub struct Picture {
    pub headline: String,
    /// The headline is bad news.
    pub alarm: bool,
    pub verdict: String,
    pub notes: Vec<String>,
    pub rows: Vec<RotationStatus>,
    pub now: Timestamp,
}

/// The terminal, given back when dropped.
pub struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// `None` where stdout is no terminal.
    pub fn open_if_terminal() -> io::Result<Option<Self>> {
        let out: Stdout = io::stdout();
        if !out.is_terminal() || !io::stdin().is_terminal() {
            return Ok(None);
        }
        Ok(Some(Self { terminal: ratatui::try_init()? }))
    }

    pub fn draw(&mut self, picture: &Picture) -> io::Result<()> {
        self.terminal.draw(|frame| draw(frame, picture)).map(|_| ())
    }

    /// Whether q, Esc or Ctrl-C was pressed.
    pub fn was_left(&mut self) -> io::Result<bool> {
        while event::poll(Duration::ZERO)? {
            if let Event::Key(key) = event::read()? {
                let interrupt =
                    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn draw(frame: &mut Frame<'_>, picture: &Picture) {
    let sinks: usize = picture.rows.iter().map(|row| row.sinks.len().max(1)).sum();
    let rows = u16::try_from(sinks + 3).unwrap_or(u16::MAX);
    let notes = u16::try_from(picture.notes.len()).unwrap_or(u16::MAX);
    let [title, headline, _, table, verdict, _, footer, help] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(rows),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(notes),
        Constraint::Length(1),
    ])
    .areas(inset(frame.area()));
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let time = picture.now.strftime("%H:%M:%S UTC").to_string();
    frame.render_widget(
        Line::from(vec![Span::styled("Everbearer", bold), Span::raw(format!("  {time}"))]),
        title,
    );
    let color = if picture.alarm { Color::Red } else { Color::Reset };
    frame.render_widget(Span::styled(picture.headline.clone(), Style::new().fg(color)), headline);
    frame.render_widget(rotations(picture), table);
    frame.render_widget(Span::styled(picture.verdict.clone(), bold), verdict);
    let notes: Vec<Line<'_>> = picture.notes.iter().map(|note| Line::from(note.as_str())).collect();
    frame.render_widget(Paragraph::new(notes), footer);
    frame.render_widget(Span::styled("q or Ctrl-C to leave", Style::new().fg(Color::DarkGray)), help);
}

fn inset(area: Rect) -> Rect {
    Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
}

fn rotations(picture: &Picture) -> Table<'_> {
    let header = ["ROTATION", "STATE", "REMAINING LIFE", "NEXT", "LAST RESULT", "SINKS"];
    let rows = picture.rows.iter().map(|row| {
        let style = Style::new().fg(color(&row.state));
        let sinks: Vec<Line<'_>> = row
            .sinks
            .iter()
            .map(|sink| {
                let mark = if sink.state == "in_sync" { "✓" } else { "✗" };
                Line::from(format!("{mark} {}", short_sink(&sink.sink)))
            })
            .collect();
        Row::new([
            Cell::from(row.name.clone()),
            Cell::from(Span::styled(row.state.clone(), style)),
            Cell::from(Line::from(life(row, picture.now, style))),
            Cell::from(next(row, picture.now)),
            Cell::from(result(row, picture.now)),
            Cell::from(sinks),
        ])
        .height(u16::try_from(row.sinks.len().max(1)).unwrap_or(1))
    });
    let widths = [
        Constraint::Min(10),
        Constraint::Length(9),
        Constraint::Length(27),
        Constraint::Length(9),
        Constraint::Length(26),
        Constraint::Min(26),
    ];
    Table::new(rows, widths)
        .header(Row::new(header).style(Style::new().fg(Color::DarkGray)).bottom_margin(1))
        .column_spacing(2)
}

/// The kind of a sink and the end of its name, which says more than its beginning.
fn short_sink(name: &str) -> String {
    match (name.split_once('/'), name.rsplit_once('/')) {
        (Some((kind, rest)), Some((_, last))) if rest != last => format!("{kind} …/{last}"),
        _ => name.to_owned(),
    }
}

/// A bar with what is left of the token's life, and the same in words.
fn life(row: &RotationStatus, now: Timestamp, style: Style) -> Vec<Span<'static>> {
    let Some((issued_at, expires_at)) = row.issued_at.zip(row.expires_at) else {
        return vec![Span::raw("–")];
    };
    let left = expires_at.duration_since(now);
    let share = (left.as_secs_f64() / expires_at.duration_since(issued_at).as_secs_f64()).clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 8 × BAR")]
    let eighths = (share * f64::from(BAR) * 8.0).round() as usize;
    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    let filled = format!("{}{part}", "█".repeat(eighths / 8));
    let empty = "·".repeat(usize::from(BAR).saturating_sub(filled.chars().count()));
    let words = if left.is_positive() { format!(" {}", span(left)) } else { " ended".into() };
    vec![Span::styled(filled, style), Span::styled(empty, Style::new().fg(Color::DarkGray)), Span::raw(words)]
}

fn next(row: &RotationStatus, now: Timestamp) -> String {
    match row.due_at.map(|at| at.duration_since(now)) {
        _ if row.state == "minting" => "now".into(),
        None => "–".into(),
        Some(wait) if !wait.is_positive() => "now".into(),
        Some(wait) => format!("in {}", span(wait)),
    }
}

fn result(row: &RotationStatus, now: Timestamp) -> String {
    match (&row.last_error, row.last_success_at) {
        (Some(error), _) => format!("✗ {}", error.code),
        (None, Some(at)) => format!("✓ {} ago", span(now.duration_since(at))),
        (None, None) => "–".into(),
    }
}

fn color(state: &str) -> Color {
    match state {
        "fresh" => Color::Green,
        "due" | "minting" | "pending" | "suspended" => Color::Yellow,
        _ => Color::Red,
    }
}

/// One line for each change, for pipes and logs.
#[derive(Default)]
pub struct Plain {
    headline: String,
    told: HashMap<String, (String, Option<Timestamp>, Option<String>)>,
}

impl Plain {
    /// The lines that are new in this picture.
    pub fn tell(&mut self, picture: &Picture) -> Vec<String> {
        let time = picture.now.strftime("%H:%M:%S").to_string();
        let mut lines = Vec::new();
        let state = picture.headline.split(" · ").next().unwrap_or_default();
        if self.headline != state {
            state.clone_into(&mut self.headline);
            lines.push(format!("{time}  {state}"));
        }
        for row in &picture.rows {
            let error = row.last_error.as_ref().map(|error| error.code.clone());
            let now = (row.state.clone(), row.expires_at, error);
            // A passing state says nothing that the next one does not.
            if row.state == "minting" || self.told.get(&row.name) == Some(&now) {
                continue;
            }
            lines.push(line(&time, row, picture.now));
            self.told.insert(row.name.clone(), now);
        }
        lines
    }
}

fn line(time: &str, row: &RotationStatus, now: Timestamp) -> String {
    let life = row.expires_at.map(|at| at.duration_since(now)).map_or("no token yet".into(), |left| {
        if left.is_positive() { format!("{} left", span(left)) } else { "ended".into() }
    });
    let in_sync = row.sinks.iter().filter(|sink| sink.state == "in_sync").count();
    let error = row.last_error.as_ref().map(|error| format!(", {}", error.code)).unwrap_or_default();
    let (name, state, next, sinks) = (&row.name, &row.state, next(row, now), row.sinks.len());
    format!("{time}  {name:<10} {state:<9} {life}, next {next}, {in_sync} of {sinks} sinks in sync{error}")
}
