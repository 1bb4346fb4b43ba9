//! The charts: one SVG for each group that was measured, from the samples of the state with the
//! most of them, if it has some of every row; else from all.
//!
//! Bars for rates, on a logarithmic scale, with the spread as a whisker; dots for p50, p99 and
//! p99.9; lines for growth.

use crate::{
    machine_state::Column,
    plan::{ATTACHED, CAPACITIES, GROWTH_ATTACHED, GROWTH_ATTACHED_ALONE},
    results::{Family, Group, Row, Spread, Unit, brief},
    run::Run,
    table::{unit_name, value},
};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use std::{error::Error, path::Path};

const WIDTH: u32 = 860;
const LABELS: i32 = 250;
const RIGHT: i32 = 90;
const TOP: i32 = 62;
const BAND: i32 = 24;
const BOTTOM: i32 = 34;
const INK: RGBColor = RGBColor(40, 44, 52);
const FAINT: RGBColor = RGBColor(222, 225, 230);
const FONT: &str = "sans-serif";

type Drawing<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

fn colour(family: Family) -> RGBColor {
    match family {
        Family::Shmq => RGBColor(214, 90, 28),
        Family::Processes => RGBColor(76, 114, 160),
        Family::Threads => RGBColor(150, 160, 173),
        Family::Limit => RGBColor(96, 100, 106),
    }
}

/// A place on a logarithmic axis.
struct Axis {
    from: f64,
    to: f64,
    left: i32,
    right: i32,
}

impl Axis {
    /// Whole decades around the values.
    fn around(values: impl Iterator<Item = f64> + Clone) -> Axis {
        let lowest = values.clone().fold(f64::MAX, f64::min).max(1e-6);
        let highest = values.fold(f64::MIN, f64::max).max(lowest);
        let (from, to) = ((lowest * 0.9).log10().floor(), (highest * 1.1).log10().ceil());
        Axis { from, to: to.max(from + 1.0), left: LABELS, right: WIDTH as i32 - RIGHT }
    }

    fn at(&self, value: f64) -> i32 {
        let share = (value.max(1e-9).log10() - self.from) / (self.to - self.from);
        self.left + (share.clamp(0.0, 1.0) * f64::from(self.right - self.left)) as i32
    }

    fn draw(&self, area: &Drawing<'_>, bottom: i32) -> Drawn {
        for decade in self.from as i32..=self.to as i32 {
            let value = 10_f64.powi(decade);
            let x = self.at(value);
            area.draw(&PathElement::new([(x, TOP - 6), (x, bottom)], FAINT))?;
            area.draw(&Text::new(plain(value), (x, bottom + 6), font(12, HPos::Center)))?;
        }
        Ok(())
    }
}

/// A power of ten as one would write it.
fn plain(value: f64) -> String {
    match value {
        value if value >= 1e9 => format!("{:.0}G", value / 1e9),
        value if value >= 1e6 => format!("{:.0}M", value / 1e6),
        value if value >= 1e3 => format!("{:.0}k", value / 1e3),
        value if value >= 1.0 => format!("{value:.0}"),
        value => format!("{value}"),
    }
}

fn font(size: i32, side: HPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK).pos(Pos::new(side, VPos::Top))
}

fn begin<'a>(path: &'a Path, title: &str, subtitle: &str, height: i32) -> Result<Drawing<'a>, Box<dyn Error>> {
    let area = SVGBackend::new(path, (WIDTH, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(title.to_owned(), (14, 10), font(18, HPos::Left)))?;
    area.draw(&Text::new(subtitle.to_owned(), (14, 34), font(12, HPos::Left)))?;
    Ok(area)
}

fn label(area: &Drawing<'_>, row: &Row, y: i32) -> Drawn {
    let style = (FONT, 13).into_font().color(&colour(row.family)).pos(Pos::new(HPos::Right, VPos::Top));
    Ok(area.draw(&Text::new(row.name.clone(), (LABELS - 10, y + 3), style))?)
}

/// The legend of colours.
fn legend(area: &Drawing<'_>, group: &Group) -> Drawn {
    let mut x = LABELS;
    for (family, meaning) in [
        (Family::Shmq, "shmq"),
        (Family::Processes, "other processes"),
        (Family::Threads, "threads of one process"),
        (Family::Limit, "what the machine allows"),
    ] {
        if group.rows.iter().any(|row| row.family == family) {
            area.draw(&Rectangle::new([(x, 37), (x + 10, 47)], colour(family).filled()))?;
            area.draw(&Text::new(meaning, (x + 15, 35), font(12, HPos::Left)))?;
            x += 30 + 7 * meaning.len() as i32;
        }
    }
    Ok(())
}

fn bars(path: &Path, run: &Run, group: &Group, column: Column<'_>) -> Drawn {
    let spread = |row| column.spread(row, |values| Some(value(group.unit, values)));
    let mut rows: Vec<(&Row, Spread)> = group.rows.iter().filter_map(|row| Some((row, spread(row)?))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let more_is_better = matches!(group.unit, Unit::Rate { .. });
    rows.sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
    if more_is_better {
        rows.reverse();
    }
    let axis = Axis::around(rows.iter().flat_map(|(_, spread)| [spread.lowest, spread.highest]));
    let bottom = TOP + rows.len() as i32 * BAND;
    let better = if more_is_better { "more" } else { "less" };
    let area = begin(path, &format!("{}, {}", group.title, unit_name(group)), &format!("{better} is better"), bottom + BOTTOM)?;
    legend(&area, group)?;
    axis.draw(&area, bottom)?;
    for (at, (row, spread)) in rows.into_iter().enumerate() {
        let y = TOP + at as i32 * BAND;
        label(&area, row, y)?;
        let (x, low, high) = (axis.at(spread.median), axis.at(spread.lowest), axis.at(spread.highest));
        area.draw(&Rectangle::new([(axis.left, y + 4), (x, y + BAND - 5)], colour(row.family).filled()))?;
        let middle = y + BAND / 2;
        area.draw(&PathElement::new([(low, middle), (high, middle)], INK))?;
        area.draw(&Text::new(brief(spread.median), (high.max(x) + 6, y + 3), font(13, HPos::Left)))?;
    }
    foot(&area, run, column, bottom)
}

fn dots(path: &Path, run: &Run, group: &Group, column: Column<'_>) -> Drawn {
    let spread = |row, at: usize| column.spread(row, |values| values.percentiles.map(|all| all[at])).map(|spread| spread.median);
    let mut rows: Vec<(&Row, [f64; 3])> =
        group.rows.iter().filter_map(|row| Some((row, [spread(row, 0)?, spread(row, 1)?, spread(row, 2)?]))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by(|(_, a), (_, b)| a[0].total_cmp(&b[0]));
    let axis = Axis::around(rows.iter().flat_map(|(_, all)| *all));
    let bottom = TOP + rows.len() as i32 * BAND;
    let title = format!("{}, ns: p50 (full), p99, p99.9 (hollow)", group.title);
    let area = begin(path, &title, "less is better", bottom + BOTTOM)?;
    legend(&area, group)?;
    axis.draw(&area, bottom)?;
    for (at, (row, all)) in rows.into_iter().enumerate() {
        let (y, ink) = (TOP + at as i32 * BAND, colour(row.family));
        label(&area, row, y)?;
        let middle = y + BAND / 2;
        area.draw(&PathElement::new([(axis.at(all[0]), middle), (axis.at(all[2]), middle)], ink))?;
        area.draw(&Circle::new((axis.at(all[2]), middle), 4, WHITE.filled()))?;
        area.draw(&Circle::new((axis.at(all[2]), middle), 4, ink))?;
        area.draw(&Circle::new((axis.at(all[1]), middle), 3, ink.filled()))?;
        area.draw(&Circle::new((axis.at(all[0]), middle), 6, ink.filled()))?;
        area.draw(&Text::new(brief(all[0]), (axis.at(all[2]) + 9, y + 3), font(13, HPos::Left)))?;
    }
    foot(&area, run, column, bottom)
}

fn foot(area: &Drawing<'_>, run: &Run, column: Column<'_>, bottom: i32) -> Drawn {
    let line = match column {
        Column::One(state) => format!("a cache line there and back: {:.0} ns", state.probe_nanos),
        Column::All(states) => {
            let probes = Spread::of(states.probes.iter().copied());
            probes.map_or(String::new(), |probes| format!("a cache line there and back: {} ns", probes.to_string().trim()))
        }
    };
    let probe = format!("{}, Linux {}; {line}", run.machine, run.kernel);
    Ok(area.draw(&Text::new(probe, (14, bottom + 20), font(10, HPos::Left)))?)
}

/// A name, its family, and its points.
type Line<'n> = (&'n str, Family, Vec<(f64, f64)>);

/// The cost of a message over the capacity, or over the number of attached processes.
fn growth(path: &Path, run: &Run, group: &Group, column: Column<'_>) -> Drawn {
    let sizes: &[usize] =
        if [GROWTH_ATTACHED, GROWTH_ATTACHED_ALONE].contains(&group.title.as_str()) { &ATTACHED } else { &CAPACITIES };
    let cost = |name: &str, size: usize| {
        let row = group.row(&format!("{name}, {size}"))?;
        Some((size as f64, column.spread(row, |values| Some(values.nanos))?.median))
    };
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (name, family) in [("Queue", Family::Shmq), ("rtrb", Family::Threads), ("crossbeam-channel", Family::Limit)] {
        let points: Vec<(f64, f64)> = sizes.iter().filter_map(|&size| cost(name, size)).collect();
        if !points.is_empty() {
            lines.push((name, family, points));
        }
    }
    let Some(highest) = lines.iter().flat_map(|(_, _, points)| points).map(|point| point.1).reduce(f64::max) else {
        return Ok(());
    };
    let height = 320;
    let area = begin(path, &format!("cost of a message by {}", group.title), "nanoseconds a message; flat is good", height)?;
    let plot = area.margin(TOP, BOTTOM, 14, 190);
    let (from, to) = (sizes[0] as f64, sizes[sizes.len() - 1] as f64);
    let mut chart = ChartBuilder::on(&plot)
        .x_label_area_size(24)
        .y_label_area_size(50)
        .build_cartesian_2d((from..to).log_scale(), 0_f64..highest * 1.15)?;
    let style = (FONT, 12).into_font().color(&INK);
    let number = |x: &f64| format!("{x:.0}");
    chart
        .configure_mesh()
        .bold_line_style(FAINT)
        .light_line_style(WHITE)
        .axis_style(INK)
        .label_style(style)
        .x_label_formatter(&number)
        .draw()?;
    for (at, (name, family, points)) in lines.into_iter().enumerate() {
        let ink = colour(family);
        chart.draw_series(LineSeries::new(points.iter().copied(), ink.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 4, ink.filled())))?;
        let y = TOP + 10 + at as i32 * 20;
        let x = WIDTH as i32 - 180;
        area.draw(&Rectangle::new([(x, y), (x + 10, y + 10)], ink.filled()))?;
        let label = if family == Family::Shmq { format!("shmq {name}") } else { format!("{name}, threads") };
        area.draw(&Text::new(label, (x + 16, y - 2), font(12, HPos::Left)))?;
    }
    foot(&area, run, column, height - 34)
}

/// A file name made of a group's kind and title.
fn file_name(group: &Group) -> String {
    let title = group.title.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    let words: Vec<&str> = title.split('-').filter(|word| !word.is_empty()).collect();
    format!("{}-{}.svg", group.kind, words.join("-").to_lowercase())
}

pub fn draw(run: &Run, directory: &Path) -> Drawn {
    let main = run.states.states.iter().max_by_key(|state| state.samples);
    let steady = |group: &Group| {
        let shown = |row: &Row| main.is_some_and(|state| Column::One(state).spread(row, |values| Some(values.nanos)).is_some());
        main.filter(|_| group.rows.iter().filter(|row| !row.samples.is_empty()).all(shown))
    };
    for group in &run.groups {
        let path = directory.join(file_name(group));
        let column = steady(group).map_or(Column::All(&run.states), Column::One);
        match group.kind {
            "latency" | "waiting" => dots(&path, run, group, column)?,
            "growth" => growth(&path, run, group, column)?,
            _ => bars(&path, run, group, column)?,
        }
    }
    Ok(())
}
