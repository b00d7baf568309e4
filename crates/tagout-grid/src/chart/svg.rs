//! A small SVG writer: just what the charts need.

/// Text and axis colour.
pub(super) const INK: &str = "#1b2733";
/// Secondary text.
pub(super) const SOFT: &str = "#5b6975";
/// Grid lines.
pub(super) const GRID: &str = "#e1e6eb";
/// Weekend shading.
pub(super) const SHADE: &str = "#f4f6f9";
/// The main series.
pub(super) const MAIN: &str = "#12436d";
/// Series or groups beside it, told apart also by people with colour-blindness (after Okabe and
/// Ito).
pub(super) const OTHERS: [&str; 3] = ["#d55e00", "#009e73", "#56a0d3"];

/// A picture in the making.
pub(super) struct Canvas {
    body: String,
    width: u32,
    height: u32,
}

/// How a line of text is set.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// Font size, in pixels.
    pub(super) size: f64,
    /// `start`, `middle` or `end`.
    pub(super) anchor: &'static str,
    /// Fill colour.
    pub(super) colour: &'static str,
    /// Semibold or regular.
    pub(super) bold: bool,
    /// White outline, for text over lines.
    pub(super) halo: bool,
}

impl Style {
    /// Regular dark text that starts at its position.
    pub(super) const fn new(size: f64) -> Self {
        Self { size, anchor: "start", colour: INK, bold: false, halo: false }
    }

    /// The same, in semibold.
    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// The same, in the secondary colour.
    pub(super) const fn soft(self) -> Self {
        Self { colour: SOFT, ..self }
    }

    /// The same, set around or up to its position.
    pub(super) const fn anchored(self, anchor: &'static str) -> Self {
        Self { anchor, ..self }
    }
}

impl Canvas {
    /// An empty white picture.
    pub(super) fn new(width: u32, height: u32) -> Self {
        let mut canvas = Self { body: String::with_capacity(16 * 1024), width, height };
        canvas.rect((0.0, 0.0), (f64::from(width), f64::from(height)), "#ffffff", 0.0);
        canvas
    }

    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.body.push_str(&std::fmt::format(arguments));
    }

    /// A filled rectangle from its top left corner.
    pub(super) fn rect(&mut self, at: (f64, f64), size: (f64, f64), fill: &str, radius: f64) {
        let ((x, y), (w, h)) = (at, size);
        self.push(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" rx="{radius}" fill="{fill}"/>"#
        ));
    }

    /// A straight line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.push(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}"/>"#
        ));
    }

    /// A line through many points.
    pub(super) fn path(
        &mut self,
        points: impl Iterator<Item = (f64, f64)>,
        colour: &str,
        width: f64,
    ) {
        self.push(format_args!(
            r#"<polyline fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round" stroke-linecap="round" points=""#
        ));
        for (x, y) in points {
            self.push(format_args!("{x:.1},{y:.1} "));
        }
        self.push(format_args!(r#""/>"#));
    }

    /// A dot with a white rim.
    pub(super) fn dot(&mut self, at: (f64, f64), colour: &str) {
        let (x, y) = at;
        self.push(format_args!(
            r##"<circle cx="{x:.1}" cy="{y:.1}" r="4.5" fill="{colour}" stroke="#ffffff" stroke-width="1.5"/>"##
        ));
    }

    /// One line of text with its baseline at `at`.
    pub(super) fn text(&mut self, at: (f64, f64), style: Style, text: &str) {
        let (x, y) = at;
        self.push(format_args!(r#"<text x="{x:.1}" y="{y:.1}""#));
        self.styled(style, text);
    }

    /// One line of text that reads upwards, centred at `at`.
    pub(super) fn upright(&mut self, at: (f64, f64), style: Style, text: &str) {
        let (x, y) = at;
        self.push(format_args!(r#"<text transform="translate({x:.1} {y:.1}) rotate(-90)""#));
        self.styled(style, text);
    }

    fn styled(&mut self, style: Style, text: &str) {
        let Style { size, anchor, colour, bold, halo } = style;
        let weight = if bold { 600 } else { 400 };
        let halo = if halo {
            r##" stroke="#ffffff" stroke-width="4" stroke-linejoin="round" paint-order="stroke""##
        } else {
            ""
        };
        self.push(format_args!(
            r#" font-family="Inter" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}"{halo}>"#
        ));
        for c in text.chars() {
            match c {
                '<' => self.body.push_str("&lt;"),
                '&' => self.body.push_str("&amp;"),
                other => self.body.push(other),
            }
        }
        self.body.push_str("</text>");
    }

    /// The whole document.
    pub(super) fn finish(self) -> String {
        let Self { body, width, height } = self;
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">{body}</svg>"#
        )
    }
}
