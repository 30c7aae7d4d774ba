//! One picture of a result: the liver and the largest lesion in three planes.

use hepar_pipeline::{Findings, check_same_grid};
use hepar_volume::Volume;

use crate::canvas::Canvas;
use crate::error::PictureError;
use crate::header::{self, FOOTER_HEIGHT, write_footer, write_header};
use crate::palette::BACKGROUND;
use crate::picture::Picture;
use crate::row::Row;
use crate::section::Anatomy;
use crate::sheet::{self, draw_row};

/// Width in pixels of the picture of a plane.
const PANEL_WIDTH: usize = 512;

/// A picture of what was found in a `scan` in Hounsfield units, in any orientation.
///
/// `labels` (0 background, 1 liver, 2 tumour) are on the grid of the scan and `findings` are what they say; `case` is
/// the name that stands on top, with `?` for what is no printable ASCII. The picture is 1600 pixels wide and about 1100
/// high, or 600 without lesions.
///
/// It shows the axial, coronal and sagittal slice with the most liver and, if there are lesions, below them planes
/// through the largest one: the axial slice with its two diameters, the others through its centroid. Without a liver it
/// shows the middle of the scan. Planes lie along the axes of the scan; pixels are square, grey is -160 to 240 HU, the
/// patient's right is on the left. The liver with its tumours is outlined in blue, tumours in vermillion. Slice numbers
/// are 0-based indices of the stored scan.
///
/// # Errors
/// When scan and labels are not on the same grid.
pub fn preview(
    scan: &Volume<i16>,
    labels: &Volume<u8>,
    findings: &Findings,
    case: &str,
) -> Result<Picture, PictureError> {
    Ok(Picture(draw(scan, labels, findings, case)?))
}

fn draw(scan: &Volume<i16>, labels: &Volume<u8>, findings: &Findings, case: &str) -> Result<Canvas, PictureError> {
    check_same_grid(scan.geometry(), labels.geometry())?;
    let anatomy = Anatomy::new(scan, labels);
    let rows = rows(&anatomy, findings);
    let (width, first_row) = (sheet::width(PANEL_WIDTH), header::height(findings));
    let height = first_row + rows.iter().map(sheet::height).sum::<usize>() + FOOTER_HEIGHT;
    let mut canvas = Canvas::filled(width, height, BACKGROUND).ok_or(PictureError::Size { width, height })?;
    write_header(&mut canvas, findings, case);
    let mut top = first_row;
    for row in &rows {
        draw_row(&mut canvas, &anatomy, row, top)?;
        top += sheet::height(row);
    }
    write_footer(&mut canvas);
    Ok(canvas)
}

fn rows<'a>(anatomy: &Anatomy, findings: &'a Findings) -> Vec<Row<'a>> {
    let liver = findings.liver_box.as_ref().and_then(|stored| anatomy.liver(stored));
    let Some(liver) = liver else { return vec![Row::middle(anatomy, PANEL_WIDTH)] };
    let lesion = findings.lesions.first().map(|lesion| Row::through_lesion(anatomy, lesion, PANEL_WIDTH));
    [Row::through_liver(anatomy, &liver, PANEL_WIDTH)].into_iter().chain(lesion).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::{Colour, SKY_BLUE, VERMILLION, YELLOW};
    use crate::panel::draw_panel;
    use crate::plane::Plane;
    use hepar_pipeline::{LastStage, describe};
    use hepar_volume::{Geometry, Millimetres};
    use image::ImageFormat;

    const LIVER: [f64; 3] = [10.0, 20.0, 30.0];
    const LIVER_RADIUS: f64 = 45.0;
    const TUMOUR: [f64; 3] = [30.0, 10.0, 40.0];
    const TUMOUR_RADIUS: f64 = 14.0;

    fn within(point: Millimetres, centre: [f64; 3], radius: f64) -> bool {
        (0..3).map(|axis| (point.0[axis] - centre[axis]).powi(2)).sum::<f64>() <= radius * radius
    }

    /// A ball of liver with a ball of tumour in it, and tissue whose density grows upwards, forwards and to the right.
    fn balls(geometry: &Geometry) -> (Volume<i16>, Volume<u8>) {
        let place = |index: [usize; 3]| geometry.to_world(index.map(|v| v as f64));
        let scan = Volume::from_fn(geometry.clone(), |index| {
            let [x, y, z] = place(index).0;
            (50.0 + 0.3 * x + 0.2 * y + 0.4 * z).round() as i16
        });
        let labels = Volume::from_fn(geometry.clone(), |index| {
            let point = place(index);
            match (within(point, TUMOUR, TUMOUR_RADIUS), within(point, LIVER, LIVER_RADIUS)) {
                (true, _) => 2,
                (_, true) => 1,
                _ => 0,
            }
        });
        (scan, labels)
    }

    /// Canonical, 5 mm slices, turned by a few degrees when `oblique`.
    fn grid(oblique: bool) -> Geometry {
        let (cos, sin) = if oblique { (0.96, 0.28) } else { (1.0, 0.0) };
        let (i, j, k) = (1.0, 0.75, 5.0);
        let affine = [
            [-i * cos, j * sin, 0.0, 110.0],
            [-i * sin, -j * cos, 0.0, 120.0],
            [0.0, 0.0, k, -60.0],
            [0.0, 0.0, 0.0, 1.0],
        ];
        Geometry::new(affine, [36, 280, 200]).unwrap()
    }

    /// The same voxels stored with axes i, j, k in the order k, i, j and two of them turned round.
    fn stored_otherwise<T: Copy>(volume: &Volume<T>) -> Volume<T> {
        let ([nk, nj, _], affine) = (volume.shape(), volume.geometry().affine());
        let first = volume.geometry().to_world([nk as f64 - 1.0, nj as f64 - 1.0, 0.0]).0;
        let mut turned = *affine;
        for row in 0..3 {
            turned[row] = [-affine[row][2], affine[row][0], -affine[row][1], first[row]];
        }
        let [nk, nj, ni] = volume.shape();
        let geometry = Geometry::new(turned, [nj, ni, nk]).unwrap();
        Volume::from_fn(geometry, |[a, b, c]| volume.data()[[nk - 1 - c, nj - 1 - a, b]])
    }

    fn panels(scan: &Volume<i16>, labels: &Volume<u8>) -> Vec<Canvas> {
        let findings = describe(labels, scan, LastStage::Tumour).unwrap();
        let anatomy = Anatomy::new(scan, labels);
        let rows = rows(&anatomy, &findings);
        let panels = rows.iter().flat_map(|row| Plane::ALL.map(|plane| draw_panel(&anatomy, row, plane).unwrap()));
        panels.collect()
    }

    fn near(a: Colour, b: Colour) -> bool {
        (0..3).all(|n| a.0[n].abs_diff(b.0[n]) < 40)
    }

    /// The pixels of a colour, `[x, y]`.
    fn pixels(panel: &Canvas, colour: Colour) -> Vec<[usize; 2]> {
        let (width, height) = (panel.width() as usize, panel.height() as usize);
        let all = (0..height).flat_map(|y| (0..width).map(move |x| [x, y]));
        all.filter(|&[x, y]| near(panel.pixel(x, y), colour)).collect()
    }

    fn extent(pixels: &[[usize; 2]]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let along = || pixels.iter().map(|pixel| pixel[axis]);
            along().max().unwrap() - along().min().unwrap()
        })
    }

    #[test]
    fn the_same_result_gives_the_same_bytes() {
        let (scan, labels) = balls(&grid(true));
        let findings = describe(&labels, &scan, LastStage::Tumour).unwrap();
        let first = preview(&scan, &labels, &findings, "case 1").unwrap().png().unwrap();
        let png = |case: &str| preview(&scan, &labels, &findings, case).unwrap().png().unwrap();
        assert_eq!(first, png("case 1"));
        assert_ne!(first, png("case 2"));
        let picture = image::load_from_memory_with_format(&first, ImageFormat::Png).unwrap();
        assert_eq!(picture.width(), 1600);
    }

    #[test]
    fn a_scan_stored_in_another_order_of_axes_gives_the_same_pictures() {
        for oblique in [false, true] {
            let (scan, labels) = balls(&grid(oblique));
            let expected = panels(&scan, &labels);
            let found = panels(&stored_otherwise(&scan), &stored_otherwise(&labels));
            assert_eq!(expected.len(), 6);
            for (expected, found) in expected.iter().zip(&found) {
                assert!(expected.png().unwrap() == found.png().unwrap());
            }
        }
    }

    #[test]
    fn a_ball_in_slices_of_5_mm_is_round_and_has_its_size() {
        let (scan, labels) = balls(&grid(false));
        let findings = describe(&labels, &scan, LastStage::Tumour).unwrap();
        let anatomy = Anatomy::new(&scan, &labels);
        let row = &rows(&anatomy, &findings)[0];
        for plane in Plane::ALL {
            let [width, height] = extent(&pixels(&draw_panel(&anatomy, row, plane).unwrap(), SKY_BLUE));
            let diameter = 2.0 * LIVER_RADIUS / row.view(plane).pixel_mm;
            // The ball of voxels may be a slice higher or lower.
            let slice = 5.0 / row.view(plane).pixel_mm;
            assert!((width as f64 - diameter).abs() < 8.0, "{plane:?}: {width} of {diameter}");
            assert!((height as f64 - diameter).abs() < slice + 2.0, "{plane:?}: {height} of {diameter}");
        }
    }

    #[test]
    fn outlines_lie_where_labels_end_and_diameters_within_the_lesion() {
        let (scan, labels) = balls(&grid(true));
        let findings = describe(&labels, &scan, LastStage::Tumour).unwrap();
        let anatomy = Anatomy::new(&scan, &labels);
        let row = &rows(&anatomy, &findings)[1];
        let panel = draw_panel(&anatomy, row, Plane::Axial).unwrap();
        let section = anatomy.section(&row.view(Plane::Axial)).unwrap();
        let at = |point: [f64; 3]| section.projection.pixel(anatomy.geometry().to_index(Millimetres(point)));
        let centre = at(TUMOUR);
        let radius = TUMOUR_RADIUS / row.view(Plane::Axial).pixel_mm;
        let from_centre = |[x, y]: [usize; 2]| (x as f32 + 0.5 - centre[0]).hypot(y as f32 + 0.5 - centre[1]);
        let outline = pixels(&panel, VERMILLION);
        assert!(outline.len() as f64 > 2.0 * std::f64::consts::TAU * radius * 0.5, "{}", outline.len());
        assert!(outline.iter().all(|&pixel| (f64::from(from_centre(pixel)) - radius).abs() < 7.0));
        let diameters = pixels(&panel, YELLOW);
        assert!(diameters.len() as f64 > 3.0 * radius, "{}", diameters.len());
        assert!(diameters.iter().all(|&pixel| f64::from(from_centre(pixel)) < radius + 5.0));
    }

    #[test]
    fn the_diameters_are_in_the_axial_picture_wherever_the_centroid_lies() {
        let lesions: [fn([usize; 3]) -> bool; 2] = [
            // A rod that leans to the back on its way up and is widest at its lower end.
            |[k, j, i]| {
                (10..22).contains(&k)
                    && (20 * k - 190..20 * k - 160).contains(&j)
                    && i.abs_diff(100) < if k == 10 { 12 } else { 5 }
            },
            // A triangle of 120 mm along i and 100 mm along j.
            |[k, j, i]| k == 20 && (50..183).contains(&j) && i.abs_diff(100) * 133 <= 60 * (183 - j),
        ];
        for is_tumour in lesions {
            let labels = Volume::from_fn(grid(false), |index| if is_tumour(index) { 2u8 } else { 1 });
            let scan = labels.map(|_| 60i16);
            let findings = describe(&labels, &scan, LastStage::Tumour).unwrap();
            let [lesion] = &findings.lesions[..] else { panic!("{:?}", findings.lesions) };
            let anatomy = Anatomy::new(&scan, &labels);
            let row = Row::through_lesion(&anatomy, lesion, PANEL_WIDTH);
            let yellow = pixels(&draw_panel(&anatomy, &row, Plane::Axial).unwrap(), YELLOW);
            let long = lesion.long_axis_mm / row.view(Plane::Axial).pixel_mm;
            assert!(yellow.len() as f64 > long, "{} of {long}", yellow.len());
            let centroid = anatomy.geometry().to_index(lesion.centroid);
            assert_eq!([Plane::Coronal, Plane::Sagittal].map(|plane| row.view(plane).centre), [centroid; 2]);
        }
    }

    #[test]
    fn the_patients_right_is_on_the_left_and_the_front_and_the_head_on_top() {
        let (scan, labels) = balls(&grid(false));
        let [axial, coronal, sagittal] = &panels(&scan, &labels.map(|&label| label.min(1)))[..] else { panic!() };
        // Density grows to the right (left of the picture), to the front and to the head.
        let grey = |panel: &Canvas, x: usize, y: usize| panel.pixel(x, y).0[0];
        for panel in [axial, coronal] {
            assert!(grey(panel, 150, 200) > grey(panel, 362, 200) + 5);
        }
        assert!(grey(sagittal, 150, 200) > grey(sagittal, 362, 200) + 5);
        for panel in [axial, coronal, sagittal] {
            assert!(grey(panel, 60, 60) > grey(panel, 60, 300) + 5);
        }
    }

    #[test]
    fn without_a_liver_the_middle_of_the_scan_is_shown_without_outlines() {
        let (scan, labels) = balls(&grid(true));
        let labels = labels.map(|_| 0);
        let panels = panels(&scan, &labels);
        assert_eq!(panels.len(), 3);
        assert!(panels.iter().all(|panel| pixels(panel, SKY_BLUE).is_empty()));
        let findings = describe(&labels, &scan, LastStage::Tumour).unwrap();
        let picture = preview(&scan, &labels, &findings, "none").unwrap().png().unwrap();
        assert!(image::load_from_memory_with_format(&picture, ImageFormat::Png).unwrap().height() < 800);
    }

    #[test]
    fn scans_of_every_shape_and_scale_give_a_picture_of_bounded_size() {
        for shape in [[1, 1, 1], [1, 7, 5], [5, 1, 300], [900, 2, 1]] {
            for spacing in [[1.0; 3], [1e-5; 3], [1e5; 3], [0.1, 500.0, 3.0]] {
                for label in 0..3 {
                    let geometry = Geometry::axis_aligned(shape, spacing).unwrap();
                    let (scan, labels) = (Volume::filled(geometry.clone(), 40i16), Volume::filled(geometry, label));
                    let findings = describe(&labels, &scan, LastStage::Tumour).unwrap();
                    let canvas = draw(&scan, &labels, &findings, &"größer ".repeat(500)).unwrap();
                    assert!(canvas.width() == 1600.0 && canvas.height() < 1500.0);
                }
            }
        }
    }

    #[test]
    fn findings_of_another_scan_do_no_harm() {
        let (scan, labels) = balls(&grid(false));
        let mut findings = describe(&labels, &scan, LastStage::Tumour).unwrap();
        let geometry = Geometry::axis_aligned([3, 4, 5], [1.0; 3]).unwrap();
        let (scan, labels) = (Volume::filled(geometry.clone(), 0i16), Volume::filled(geometry, 1u8));
        for far in [1e3, 1e9, 1e30] {
            findings.liver_box = hepar_volume::VoxelBox::new([2, 2, 2], [900, 900, 900]);
            findings.lesions[0].long_axis_ends[1] = Millimetres([far; 3]);
            findings.lesions[0].centroid = Millimetres([far; 3]);
            assert!(preview(&scan, &labels, &findings, "").is_ok());
        }
    }

    #[test]
    fn labels_of_another_grid_are_refused() {
        let (scan, _) = balls(&grid(false));
        let labels = Volume::filled(Geometry::axis_aligned([1, 1, 1], [1.0; 3]).unwrap(), 0u8);
        let findings = describe(&labels, &labels.map(|_| 0), LastStage::Tumour).unwrap();
        let error = preview(&scan, &labels, &findings, "").err();
        assert!(matches!(error, Some(PictureError::Grid(_))), "{error:?}");
    }
}
