//! Draws the state. Nothing is decided here.

use super::list::{self, Line as Entry};
use super::pager::{self, Tone};
use super::state::{Screen, State};
use crate::commands::history::Row;
use crate::commands::history::heading::Heading;
use crate::commands::history::layout::screen as columns;
use crate::commands::operator_state::last_sign;
use crate::commands::table::lines as table;
use crate::commands::text::{fit, folded};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// Columns in front of a row: its option.
const OPTION: usize = 4;
/// Length of a bar.
const BAR: u64 = 20;

/// Draws everything.
pub fn draw(state: &State, frame: &mut Frame<'_>) {
    if state.too_small() {
        return too_small(state, frame);
    }
    match state.screens.last() {
        None => list(state, frame),
        Some(screen) => text(state, screen, frame),
    }
}

fn style(tone: Tone) -> Style {
    // The terminal's own colours, so that they fit its background.
    match tone {
        Tone::Plain => Style::new(),
        Tone::Title => Style::new().add_modifier(Modifier::BOLD),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Warning => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red),
        Tone::Dim => Style::new().add_modifier(Modifier::DIM),
    }
}

fn put(frame: &mut Frame<'_>, y: u16, line: impl Into<Line<'static>>) {
    let area = frame.area();
    if y < area.height {
        frame.render_widget(line.into(), Rect::new(0, y, area.width, 1));
    }
}

fn said(text: impl Into<String>, tone: Tone) -> Line<'static> {
    Line::styled(text.into(), style(tone))
}

fn too_small(state: &State, frame: &mut Frame<'_>) {
    let ((columns, lines), (least, low)) = (state.size, super::state::SMALLEST);
    let text = format!(
        "This view needs {least} columns and {low} lines; the terminal has {columns} and {lines}. Enlarge it, or press F3 to end."
    );
    for (y, line) in (0..).zip(text.split_whitespace().fold(Vec::new(), |lines, word| {
        wrap(lines, word, usize::from(columns))
    })) {
        put(frame, y, line);
    }
}

fn wrap(mut lines: Vec<String>, word: &str, width: usize) -> Vec<String> {
    match lines.last_mut() {
        Some(last) if last.chars().count() + 1 + word.chars().count() <= width => {
            last.push(' ');
            last.push_str(word);
        }
        Some(_) | None => lines.push(word.to_owned()),
    }
    lines
}

/// Title in the middle, namespace and time at the sides.
fn title(state: &State, frame: &mut Frame<'_>, title: &str) {
    let width = usize::from(state.size.0);
    let time = state.now.format("%Y-%m-%d %H:%M:%SZ").to_string();
    let namespace = fit(&state.namespace, width / 3);
    let before = (width.saturating_sub(title.len()) / 2).max(namespace.chars().count() + 2);
    let left = format!("{:<1$}", format!(" {namespace}"), before);
    let rest = width.saturating_sub(before + title.len());
    let right = format!("{:>1$}", format!("{time} "), rest);
    let spans = vec![
        Span::raw(left),
        Span::styled(title.to_owned(), style(Tone::Title)),
        Span::raw(right),
    ];
    put(frame, 0, Line::from(spans));
}

fn list(state: &State, frame: &mut Frame<'_>) {
    title(state, frame, "Clone History");
    let (environments, runs) = (&state.objects.environments, &state.objects.runs);
    let sign = last_sign(environments.values(), runs.values());
    // Without news the Lease only seems to run out.
    let (said_of_it, tone) = match (state.silent.is_empty(), state.operator.alarming(state.now)) {
        (false, _) => ("not known: no word from the API".to_owned(), Tone::Dim),
        (true, alarming) => {
            let tone = if alarming { Tone::Bad } else { Tone::Plain };
            (state.operator.said(sign, state.now), tone)
        }
    };
    let operator = format!(" Operator  . . . :  {said_of_it}");
    put(frame, 1, said(fit(&operator, width_of(state)), tone));
    position_to(state, frame);
    put(frame, 3, said(" Type options, press Enter.", Tone::Plain));
    let options = "   5=Display   6=Logs   8=Job log   9=System log of the clone";
    put(frame, 4, said(options, Tone::Plain));
    rows(state, frame);
    let keys = "F1=Help  F3=Exit  F5=Refresh  F11=Times  F12=Cancel  /=Position";
    let seen = state.list.top + state.list_height();
    foot(state, frame, keys, seen >= state.list.lines.len());
}

fn width_of(state: &State) -> usize {
    usize::from(state.size.0)
}

fn position_to(state: &State, frame: &mut Frame<'_>) {
    let label = " Position to . . :  ";
    let typed = state.prompt.as_ref().map_or("", |p| p.text.as_str());
    let hint = "date, number or environment";
    let field = format!("{typed:_<24}");
    let spans = vec![
        Span::raw(label),
        Span::styled(field, Style::new().add_modifier(Modifier::UNDERLINED)),
        Span::styled(format!("  {hint}"), style(Tone::Dim)),
    ];
    put(frame, 2, Line::from(spans));
    if state.prompt.is_some() {
        cursor(frame, label.len() + typed.chars().count(), 2);
    }
}

fn cursor(frame: &mut Frame<'_>, x: usize, y: u16) {
    let last = frame.area().width.saturating_sub(1);
    let x = u16::try_from(x).unwrap_or(last).min(last);
    frame.set_cursor_position(Position::new(x, y));
}

fn rows(state: &State, frame: &mut Frame<'_>) {
    let (list, width) = (&state.list, width_of(state));
    if list.lines.is_empty() {
        let listed = state.objects.environments_listed && state.objects.runs_listed;
        let text = match listed {
            true => "  (No environments in this namespace.)",
            false => "  Reading…",
        };
        return put(frame, 8, said(text, Tone::Dim));
    }
    let seen = list.lines.iter().skip(list.top).take(state.list_height());
    let seen: Vec<&Entry> = seen.collect();
    let shown: Vec<&Row> = seen
        .iter()
        .filter_map(|line| match line {
            Entry::Row(row) => Some(row.as_ref()),
            Entry::Heading(..) | Entry::Gone(_) | Entry::Progress(..) | Entry::Note(_) => None,
        })
        .collect();
    let columns = columns(&shown, state.view, width.saturating_sub(OPTION));
    let (headings, texts) = table(&columns);
    // A heading of one line stands on the lower of the two.
    let first = 7 - u16::try_from(headings.len().min(2)).unwrap_or(2);
    for (y, heading) in (first..7).zip(&headings) {
        let lead = if y == 6 { "Opt " } else { "    " };
        put(frame, y, said(format!("{lead}{heading}"), Tone::Title));
    }
    let mut texts = texts.into_iter();
    for (y, line) in (7..).zip(seen) {
        match line {
            Entry::Heading(heading, alarms) => put(frame, y, environment(heading, alarms, width)),
            Entry::Gone(name) => {
                let text = format!("{name} (does not exist any more)");
                put(frame, y, said(fit(&text, width), Tone::Title));
            }
            Entry::Row(row) => row_line(state, frame, y, row, &texts.next().unwrap_or_default()),
            Entry::Progress(done, all, words) => put(frame, y, progress(*done, *all, words, width)),
            Entry::Note(text) => put(frame, y, said(format!("    ({text})"), Tone::Dim)),
        }
    }
}

fn row_line(state: &State, frame: &mut Frame<'_>, y: u16, row: &Row, text: &str) {
    let id = list::id_of(row);
    let option = state.list.options.get(&id).copied().unwrap_or('_');
    let here = state.list.selected.as_ref() == Some(&id);
    let mut shown = style(list::tone(row));
    if here {
        shown = shown.add_modifier(Modifier::REVERSED);
    }
    let rest = width_of(state).saturating_sub(OPTION);
    let text = if here {
        format!("{text:<rest$}")
    } else {
        text.to_owned()
    };
    let spans = vec![
        Span::raw(" "),
        Span::styled(
            option.to_string(),
            Style::new().add_modifier(Modifier::BOLD),
        ),
        Span::raw("  "),
        Span::styled(text, shown),
    ];
    put(frame, y, Line::from(spans));
    if here && state.prompt.is_none() {
        cursor(frame, 1, y);
    }
}

/// `nightly-user  *USER  production PROD, clone CLONE1 (running)  next 11-25 00:00Z  ! VolumeDrift`: the name is never cut.
fn environment(heading: &Heading, alarms: &[String], width: usize) -> Line<'static> {
    let production = heading.production.split(" on ").next().unwrap_or_default();
    let clone = heading.clone.split(" on ").next().unwrap_or_default();
    let state = match heading.clone_state.as_str() {
        "" => String::new(),
        state => format!(" ({state})"),
    };
    let rest = format!(
        "  {}  production {production}, clone {clone}{state}  {}",
        heading.function, heading.schedule_short
    );
    let alarm = match alarms {
        [] => String::new(),
        alarms => format!("  ! {}", alarms.join(", ")),
    };
    let name = heading.name.clone();
    let room = width.saturating_sub(name.chars().count());
    let alarm = fit(&alarm, room);
    let rest = fit(&rest, room.saturating_sub(alarm.chars().count()));
    Line::from(vec![
        Span::styled(name, style(Tone::Title)),
        Span::raw(rest),
        Span::styled(alarm, style(Tone::Bad)),
    ])
}

fn progress(done: u64, all: u64, words: &str, width: usize) -> Line<'static> {
    let full = (BAR * done).checked_div(all).unwrap_or_default().min(BAR);
    let (full, empty) = (full as usize, (BAR - full) as usize);
    let bar = format!("    [{}{}] ", "=".repeat(full), " ".repeat(empty));
    let words = fit(words, width.saturating_sub(bar.len()));
    Line::from(vec![Span::styled(bar, style(Tone::Good)), Span::raw(words)])
}

/// Keys and, at the right, whether there is more; below it what just happened.
fn foot(state: &State, frame: &mut Frame<'_>, keys: &str, all: bool) {
    let (width, height) = (width_of(state), state.size.1);
    let more = if all { "Bottom" } else { "More..." };
    let room = width.saturating_sub(more.len() + 2);
    let keys = format!(" {}", fit(keys, room.saturating_sub(1)));
    let line = Line::from(vec![
        Span::styled(format!("{keys:<room$}"), Style::new().fg(Color::Cyan)),
        Span::styled(format!(" {more}"), style(Tone::Title)),
    ]);
    put(frame, height - 2, line);
    let silent = state.silent.values().next().map(|(why, since)| {
        let since = since.format("%H:%M:%SZ");
        format!("No word from the API since {since}, asking on; shown is what was known: {why}")
    });
    let unread = state
        .unread
        .iter()
        .next()
        .map(|(environment, why)| format!("older rows of {environment} are not shown: {why}"));
    // That the API is silent explains why nothing else could be read.
    let message = match (&state.message, silent.or(unread)) {
        (Some((text, true)), _) => Some((text.clone(), Tone::Bad)),
        (_, Some(text)) => Some((text, Tone::Bad)),
        (Some((text, false)), None) => Some((text.clone(), Tone::Good)),
        (None, None) => None,
    };
    if let Some((text, tone)) = message {
        put(
            frame,
            height - 1,
            said(fit(&format!(" {text}"), width), tone),
        );
    }
}

fn text(state: &State, screen: &Screen, frame: &mut Frame<'_>) {
    let (lines, area) = (state.text(), state.area());
    let about = |id: &list::RowId| match state.row_of(id) {
        Some(row) => {
            let number = row
                .number
                .map(|n| format!(" number {n}"))
                .unwrap_or_default();
            format!(" {}{number}, run {}", row.environment, row.name)
        }
        None => format!(" run {}", id.0),
    };
    let (heading, about, top) = match screen {
        Screen::Help(top) => (
            "Keys",
            " 5250 key       Terminal key     Meaning".to_owned(),
            *top,
        ),
        Screen::Details(id, top) => ("Display Run", about(id), *top),
        Screen::Choice(id, _, _) => ("Logs of a Run", about(id), 0),
        Screen::Log(id, kind, top) => (log_title(kind), about(id), *top),
    };
    title(state, frame, heading);
    put(frame, 1, said(fit(&about, width_of(state)), Tone::Title));
    if let Screen::Choice(_, want, at) = screen {
        choice(state, frame, &lines, *at, want.name());
    } else {
        let seen = pager::seen(&lines, top, area);
        for (y, line) in (3..).zip(&seen) {
            put(frame, y, said(format!(" {}", line.text), line.tone));
        }
        if lines.is_empty() {
            put(frame, 3, said(" (No lines.)", Tone::Dim));
        }
    }
    let all = top >= pager::bottom(&lines, area);
    foot(
        state,
        frame,
        "F1=Help  F3=Exit  F5=Refresh  F12=Cancel  /=Find  F16=Find again",
        all,
    );
    if let Some(prompt) = &state.prompt {
        let label = " Find  . :  ";
        let y = state.size.1 - 1;
        put(
            frame,
            y,
            said(format!("{label}{:_<40}", prompt.text), Tone::Plain),
        );
        cursor(frame, label.len() + prompt.text.chars().count(), y);
    }
}

fn log_title(kind: &str) -> &'static str {
    match kind {
        "steps" => "Step Log",
        "history" => "System Log of the Clone",
        "devices" => "Exchange with Devices",
        kind if kind.starts_with("joblog") => "Job Log",
        _ => "Log",
    }
}

fn choice(state: &State, frame: &mut Frame<'_>, lines: &[pager::Shown], at: usize, what: &str) {
    let read = state.logs.as_ref().is_some_and(|logs| logs.read.is_some());
    if !read {
        return put(frame, 3, said(format!(" Reading the {what}…"), Tone::Dim));
    }
    put(frame, 2, said(" Choose a log, press Enter.", Tone::Plain));
    for (n, line) in lines.iter().enumerate() {
        let Some(y) = u16::try_from(n + 4).ok().filter(|y| *y < state.size.1 - 2) else {
            break;
        };
        let mut shown = style(Tone::Plain);
        if n == at {
            shown = shown.add_modifier(Modifier::REVERSED);
            cursor(frame, 3, y);
        }
        let parts = folded(&line.text, width_of(state));
        let text = parts.into_iter().next().unwrap_or_default();
        put(
            frame,
            y,
            Line::from(vec![Span::raw("   "), Span::styled(text, shown)]),
        );
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
