//! From SVG to PNG.
use std::sync::{Arc, LazyLock};

use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{Options, Tree, fontdb::Database},
};

use super::ChartError;

/// Inter in two weights, cut down to Latin; the system's fonts are never looked at, so that a
/// chart is the same everywhere.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(include_bytes!("../../data/font/inter-regular.ttf").to_vec());
    fonts.load_font_data(include_bytes!("../../data/font/inter-semibold.ttf").to_vec());
    Arc::new(fonts)
});

/// Draws `svg` on white.
pub(super) fn png(svg: &str, width_px: u32, height_px: u32) -> Result<Vec<u8>, ChartError> {
    let options = Options {
        font_family: "Inter".to_owned(),
        fontdb: Arc::clone(&FONTS),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options)?;
    let mut pixels = Pixmap::new(width_px, height_px)
        .ok_or_else(|| ChartError::Png("the picture has no area".into()))?;
    resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| ChartError::Png(error.to_string().into()))
}
