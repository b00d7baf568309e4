//! Pictures: content and size here, looks by looking at the files this test leaves.
use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::session::{call, connect, pretty, structured};

#[tokio::test]
async fn pictures_are_png_with_words_beside_them() {
    let client = connect().await;
    let mut shown = String::new();
    for dataset in ["hourly_load", "peak_load_2023", "gb_2000"] {
        let arguments = json!({"dataset_id": dataset});
        let result = call(&client, "generate_grid_visualization", arguments).await.expect("one");
        let image = result.content.iter().find_map(|block| block.as_image()).expect("an image");
        assert_eq!(image.mime_type, "image/png");
        let png = STANDARD.decode(&image.data).expect("base64");
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        let mut words = result.structured_content.clone().expect("structured");
        assert_eq!(words["png_bytes"], png.len());
        assert_eq!(
            u64::from(u32::from_be_bytes(png[16..20].try_into().expect("4 bytes"))),
            words["width_px"]
        );
        assert!(png.len() < 200_000, "{dataset}: {} bytes", png.len());
        assert!(words.get("visualization").is_none(), "only when asked for");
        // The encoder's version decides about it.
        words["png_bytes"] = json!("…");
        shown += &format!("{}\n", pretty(&words));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(folder.join(format!("{dataset}.png")), png).expect("writable");
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn the_data_uri_is_the_same_picture() {
    let client = connect().await;
    let arguments = json!({"dataset_id": "peak_load_2023", "data_uri": true});
    let result = call(&client, "generate_grid_visualization", arguments).await.expect("one");
    let image = result.content.iter().find_map(|block| block.as_image()).expect("an image");
    let uri = format!("data:image/png;base64,{}", image.data);
    assert_eq!(result.structured_content.expect("structured")["visualization"], uri);
    let plain = structured(
        &client,
        "generate_grid_visualization",
        json!({"dataset_id": "peak_load_2023", "data_uri": false}),
    )
    .await;
    assert!(plain.get("visualization").is_none());
}
