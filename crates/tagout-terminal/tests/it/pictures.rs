//! Pictures, drawn and looked at again.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tagout_terminal::{
    Pictures, Screen, Size,
    pictures::{MAX_BYTES, PictureError, show, show_owned},
};

type Dot = [u8; 3];

fn png(width: u32, height: u32, dot: impl Fn(u32, u32) -> [u8; 4]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header().unwrap();
    let all = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let data: Vec<u8> = all.flat_map(|(x, y)| dot(x, y)).collect();
    writer.write_image_data(&data).unwrap();
    writer.finish().unwrap();
    file
}

/// Red, green, blue and nothing, in quarters.
fn quarters(width: u32, height: u32) -> Vec<u8> {
    png(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => [250, 10, 20, 255],
        (false, true) => [0, 200, 0, 255],
        (true, false) => [0, 0, 255, 255],
        (false, false) => [0, 0, 0, 0],
    })
}

fn gradient(width: u32, height: u32) -> Vec<u8> {
    png(width, height, |x, y| {
        let part = |n: u32, of: u32| u8::try_from(n * 255 / of).unwrap();
        [part(x, width), part(y, height), part(x + y, width + height), 255]
    })
}

fn screen(pictures: Pictures, true_colour: bool) -> Screen {
    let variable = |name: &str| match name {
        "TERM" => Some("xterm-256color".to_owned()),
        "COLORTERM" if true_colour => Some("truecolor".to_owned()),
        _ => None,
    };
    let size = Size { columns: 41, rows: 12, width_px: 410, height_px: 240 };
    Screen::detect(variable, true, Some(size)).with_pictures(pictures)
}

fn shown(file: &[u8], pictures: Pictures) -> String {
    show(file, "image/png", &screen(pictures, true)).unwrap().unwrap()
}

fn near(one: Dot, other: Dot, tolerance: u8) -> bool {
    one.iter().zip(other).all(|(one, other)| one.abs_diff(other) <= tolerance)
}

/// A picture as rows of dots.
fn assert_quarters(dots: &[Vec<Dot>], tolerance: u8) {
    let (height, width) = (dots.len(), dots[0].len());
    for (x, y, expected) in [
        (1, 1, [250, 10, 20]),
        (width - 2, 1, [0, 200, 0]),
        (1, height - 2, [0, 0, 255]),
        (width - 2, height - 2, [255, 255, 255]),
    ] {
        assert!(near(dots[y][x], expected, tolerance), "{:?} at {x}, {y}", dots[y][x]);
    }
}

fn assert_gradient(dots: &[Vec<Dot>], tolerance: u8) {
    let (height, width) = (dots.len(), dots[0].len());
    // The mean of a neighbourhood, since what is dithered is right only on the whole.
    for (cx, cy) in [(width / 4, height / 4), (width / 2, height / 2), (3 * width / 4, height / 3)]
    {
        let mut sum = [0_usize; 3];
        for row in &dots[cy - 4..cy + 4] {
            for dot in &row[cx - 4..cx + 4] {
                for (sum, part) in sum.iter_mut().zip(dot) {
                    *sum += usize::from(*part);
                }
            }
        }
        let mean = sum.map(|sum| u8::try_from(sum / 64).unwrap());
        let part = |n: usize, of: usize| u8::try_from(n * 255 / of).unwrap();
        let expected = [part(cx, width), part(cy, height), part(cx + cy, width + height)];
        assert!(near(mean, expected, tolerance), "{mean:?}, not {expected:?} at {cx}, {cy}");
    }
}

/// The dots of a drawing of half blocks, through a terminal.
fn from_blocks(output: &str) -> Vec<Vec<Dot>> {
    let mut parser = vt100::Parser::default();
    parser.process(output.as_bytes());
    let screen = parser.screen();
    let mut dots = Vec::new();
    for row in 0..24 {
        let cells = (0..80)
            .map_while(|column| screen.cell(row, column).filter(|cell| cell.contents() == "▀"));
        let colour = |colour| match colour {
            vt100::Color::Rgb(red, green, blue) => [red, green, blue],
            vt100::Color::Idx(n) => palette(n),
            vt100::Color::Default => panic!("no colour"),
        };
        let (upper, lower): (Vec<_>, Vec<_>) =
            cells.map(|cell| (colour(cell.fgcolor()), colour(cell.bgcolor()))).unzip();
        if !upper.is_empty() {
            dots.extend([upper, lower]);
        }
    }
    dots
}

fn palette(n: u8) -> Dot {
    let step = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
    match n {
        232.. => [8 + 10 * (n - 232); 3],
        16.. => [(n - 16) / 36, (n - 16) / 6 % 6, (n - 16) % 6].map(step),
        _ => panic!("the person's own colours are not used"),
    }
}

/// The dots of a sixel picture, read as a terminal does.
fn from_sixel(output: &str) -> Vec<Vec<Dot>> {
    let data = output.strip_prefix("\u{1b}P0;1;0q\"1;1;").unwrap();
    let data = data.strip_suffix("\u{1b}\\\r\n").unwrap();
    let size = data.find('#').unwrap();
    let (width, height) = data[..size].split_once(';').unwrap();
    let (width, height): (usize, usize) = (width.parse().unwrap(), height.parse().unwrap());
    let mut dots = vec![vec![None; width]; height.div_ceil(6) * 6];
    let (mut colours, mut colour) = (std::collections::BTreeMap::new(), 0);
    let (mut x, mut y, mut times) = (0, 0, 1);
    let mut rest = data[size..].chars().peekable();
    while let Some(c) = rest.next() {
        let mut numbers = || {
            let mut text = String::new();
            while let Some(c) = rest.next_if(|c| c.is_ascii_digit() || *c == ';') {
                text.push(c);
            }
            text.split(';').map(|n| n.parse().unwrap()).collect::<Vec<usize>>()
        };
        match c {
            '#' => match numbers()[..] {
                [n] => colour = n,
                [n, 2, red, green, blue] => {
                    let part = |percent: usize| u8::try_from(percent * 255 / 100).unwrap();
                    colours.insert(n, [part(red), part(green), part(blue)]);
                }
                _ => panic!("not a colour"),
            },
            '!' => times = numbers()[0],
            '$' => x = 0,
            '-' => (x, y) = (0, y + 6),
            '?'..='~' => {
                for _ in 0..times {
                    for bit in (0..6).filter(|bit| (c as u32 - 63) >> bit & 1 == 1) {
                        dots[y + bit][x] = Some(colours[&colour]);
                    }
                    x += 1;
                }
                times = 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(colours.len() <= 256);
    dots.truncate(height);
    dots.into_iter().map(|row| row.into_iter().map(Option::unwrap).collect()).collect()
}

fn from_png(file: &[u8]) -> Vec<Vec<Dot>> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut buffer).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    let dots: Vec<Dot> = buffer.as_chunks::<3>().0.to_vec();
    dots.chunks(info.width.try_into().unwrap()).map(<[Dot]>::to_vec).collect()
}

/// The file that kitty is sent.
fn from_kitty(output: &str) -> Vec<Vec<Dot>> {
    let mut data = String::new();
    let mut commands = output.strip_suffix("\u{1b}\\\r\n").unwrap().split("\u{1b}\\").peekable();
    while let Some(command) = commands.next() {
        let (keys, chunk) = command.strip_prefix("\u{1b}_G").unwrap().split_once(';').unwrap();
        assert!(chunk.len() <= 4096 && keys.contains("q=2"));
        assert_eq!(keys.ends_with("m=0"), commands.peek().is_none(), "{keys}");
        data.push_str(chunk);
    }
    from_png(&STANDARD.decode(data).unwrap())
}

fn from_iterm2(output: &str) -> Vec<Vec<Dot>> {
    let data = output.strip_prefix("\u{1b}]1337;File=inline=1;").unwrap();
    let data = data.strip_suffix("\u{7}\r\n").unwrap();
    from_png(&STANDARD.decode(data.split_once(':').unwrap().1).unwrap())
}

#[test]
fn colours_are_where_they_were() {
    let file = quarters(300, 200);
    let blocks = from_blocks(&shown(&file, Pictures::Blocks));
    assert_eq!((blocks[0].len(), blocks.len()), (30, 20));
    assert_quarters(&blocks, 2);
    let few = show(&file, "image/png", &screen(Pictures::Blocks, false)).unwrap().unwrap();
    assert_quarters(&from_blocks(&few), 40);
    let sixel = from_sixel(&shown(&file, Pictures::Sixel));
    assert_eq!((sixel[0].len(), sixel.len()), (300, 200));
    assert_quarters(&sixel, 3);
    assert_quarters(&from_kitty(&shown(&file, Pictures::Kitty)), 0);
    assert_quarters(&from_iterm2(&shown(&file, Pictures::Iterm2)), 0);
}

#[test]
fn many_colours_become_256_and_look_alike() {
    let file = gradient(400, 200);
    assert_gradient(&from_sixel(&shown(&file, Pictures::Sixel)), 8);
    assert_gradient(&from_kitty(&shown(&file, Pictures::Kitty)), 6);
    assert_gradient(&from_blocks(&shown(&file, Pictures::Blocks)), 26);
}

#[test]
fn large_pictures_fit_and_small_ones_stay_small() {
    for (width, height, columns, rows) in
        [(1200, 300, 40, 5), (300, 1200, 5, 10), (3000, 10, 40, 1), (10, 20, 1, 1), (1, 1, 1, 1)]
    {
        let blocks = from_blocks(&shown(&gradient(width, height), Pictures::Blocks));
        assert_eq!((blocks[0].len(), blocks.len() / 2), (columns, rows), "{width} × {height}");
    }
    let kitty = shown(&quarters(1200, 300), Pictures::Kitty);
    assert!(kitty.starts_with("\u{1b}_Ga=T,f=100,q=2,c=40,r=5,m="), "{}", &kitty[..60]);
    assert_eq!(from_kitty(&kitty)[0].len(), 400);
}

#[test]
fn every_kind_of_png_is_read() {
    use png::{BitDepth, ColorType};
    let kinds: [(_, _, &[u8], Dot); 6] = [
        (ColorType::Grayscale, BitDepth::Eight, &[77], [77; 3]),
        (ColorType::Grayscale, BitDepth::One, &[0x80], [255; 3]),
        (ColorType::GrayscaleAlpha, BitDepth::Eight, &[0, 55], [200; 3]),
        (ColorType::Rgb, BitDepth::Sixteen, &[1, 0, 2, 0, 3, 0], [1, 2, 3]),
        (ColorType::Rgba, BitDepth::Sixteen, &[1, 0, 2, 0, 3, 0, 255, 255], [1, 2, 3]),
        (ColorType::Indexed, BitDepth::Eight, &[1], [4, 5, 6]),
    ];
    for (colour, depth, data, expected) in kinds {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 1, 1);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == ColorType::Indexed {
            encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        assert_eq!(from_kitty(&shown(&file, Pictures::Kitty)), [[expected]], "{colour:?}");
    }
}

#[test]
fn a_jpeg_is_shown_too() {
    // 16 by 16, the upper half red and the lower blue.
    let file = STANDARD.decode(include_str!("documents/halves.jpeg.base64").trim()).unwrap();
    let dots = from_sixel(&shown(&file, Pictures::Sixel));
    assert_eq!((dots[0].len(), dots.len()), (16, 16));
    assert!(near(dots[2][8], [254, 0, 0], 12), "{:?}", dots[2][8]);
    assert!(near(dots[13][8], [0, 0, 254], 12), "{:?}", dots[13][8]);
}

/// A PNG in seven passes: the encoder makes none, so its dots are put in order here.
fn interlaced(size: u32, dot: impl Fn(u32, u32) -> Dot) -> Vec<u8> {
    let passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    let mut data = Vec::new();
    for (left, top, across, down) in passes {
        for y in (top..size).step_by(down) {
            let row: Vec<u8> = (left..size).step_by(across).flat_map(|x| dot(x, y)).collect();
            if !row.is_empty() {
                data.push(0);
                data.extend(row);
            }
        }
    }
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut head = [size.to_be_bytes(), size.to_be_bytes()].concat();
    head.extend([8, 2, 0, 0, 1]);
    chunk(&mut file, b"IHDR", &head);
    chunk(&mut file, b"IDAT", &stored(&data));
    chunk(&mut file, b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let whole = [kind.as_slice(), data].concat();
    file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    file.extend(&whole);
    file.extend(crc(&whole).to_be_bytes());
}

/// A zlib stream of one block that is not compressed.
fn stored(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let mut out = vec![0x78, 0x01, 0x01];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(data);
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend((b << 16 | a).to_be_bytes());
    out
}

#[test]
fn an_interlaced_picture_is_shown_too() {
    let dot = |x: u32, y: u32| [u8::try_from(x * 4).unwrap(), u8::try_from(y * 4).unwrap(), 9];
    let dots = from_kitty(&shown(&interlaced(50, dot), Pictures::Kitty));
    assert_eq!((dots[0].len(), dots.len()), (50, 50));
    for (x, y) in [(0, 0), (49, 49), (13, 37), (40, 1)] {
        assert_eq!(dots[y][x], dot(u32::try_from(x).unwrap(), u32::try_from(y).unwrap()));
    }
}

#[test]
fn a_terminal_is_sent_no_more_dots_than_anybody_sees() {
    let size = Size { columns: u16::MAX, rows: u16::MAX, width_px: u16::MAX, height_px: u16::MAX };
    let file = gradient(2_500, 1_000);
    let sent = |pictures| {
        let screen = screen(pictures, true).with_size(size);
        show(&file, "image/png", &screen).unwrap().unwrap()
    };
    let dots = from_kitty(&sent(Pictures::Kitty));
    let (width, height) = (dots[0].len(), dots.len());
    assert!((1_400_000..=2_000_000).contains(&(width * height)), "{width} × {height}");
    assert!((245..=255).contains(&(width * 100 / height)), "{width} × {height}");
    let halves = sent(Pictures::Blocks).matches('▀').count();
    assert!((700_000..=1_000_000).contains(&halves), "{halves}");
}

#[test]
fn a_large_picture_is_the_same_from_another_thread() {
    let file = gradient(3_000, 500);
    let screen = screen(Pictures::Sixel, true);
    let here = show(&file, "image/png", &screen).unwrap();
    let there = std::thread::spawn(move || show_owned(file, "image/png".into(), screen));
    assert_eq!(there.join().unwrap().unwrap(), here);
}

#[test]
fn where_pictures_cannot_be_shown_nothing_is() {
    let file = quarters(10, 10);
    let path = screen(Pictures::Path, true);
    assert!(show(&file, "image/png", &path).unwrap().is_none());
    assert!(show(&file, "image/png", &Screen::plain()).unwrap().is_none());
}

/// The bytes of a PNG with other numbers for its size.
fn resized(file: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut file = file.to_vec();
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc(&file[12..29]);
    file[29..33].copy_from_slice(&sum.to_be_bytes());
    file
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |mut sum: u32, byte| {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
        sum
    })
}

#[test]
fn what_is_no_picture_or_too_large_is_refused() {
    let screen = screen(Pictures::Kitty, true);
    let code = |file: &[u8]| show(file, "image/png", &screen).unwrap_err().code();
    let file = quarters(20, 20);
    let mut long = file.clone();
    long.resize(MAX_BYTES + 1, 0);
    assert_eq!(code(&long), "picture-too-large");
    assert_eq!(code(&resized(&file, 8_000, 8_000)), "picture-too-large");
    assert_eq!(code(&resized(&file, 1, 40_000_001)), "picture-too-large");
    assert_eq!(code(&resized(&file, u32::MAX >> 1, u32::MAX >> 1)), "picture-too-large");
    assert_eq!(code(&resized(&file, 0, 20)), "picture-broken");
    assert_eq!(code(&file[..60]), "picture-broken");
    assert_eq!(code(b"\x89PNG\r\n\x1a\n"), "picture-broken");
    assert_eq!(code(b"\xff\xd8\xff\xe0"), "picture-broken");
    assert_eq!(code(b""), "picture-format");
    assert_eq!(code(b"GIF89a"), "picture-format");
    assert_eq!(code(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "picture-format");
    let error = show(b"x", "image/svg+xml", &screen).unwrap_err();
    assert!(matches!(&error, PictureError::Format { media_type } if media_type == "image/svg+xml"));
}

#[test]
fn broken_files_are_an_error_and_nothing_worse() {
    let screen = screen(Pictures::Blocks, true);
    let jpeg = STANDARD.decode(include_str!("documents/halves.jpeg.base64").trim()).unwrap();
    for whole in [quarters(20, 20), gradient(30, 20), jpeg] {
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0xff, whole[at] ^ 1] {
                let mut file = whole.clone();
                file[at] = value;
                drop(show(&file, "image/png", &screen));
            }
            drop(show(&whole[..at], "image/png", &screen));
        }
    }
}
