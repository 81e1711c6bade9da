import ij.*; import ij.gui.*; import ij.io.*; import ij.process.*;
import java.awt.*; import java.io.*; import java.util.*; import java.util.zip.*;

/** Reads NAME_rois.zip and NAME_labels.tif with ImageJ's own decoder and compares every pixel with the label map;
    writes regions of its own kinds, rois.zip, and what ImageJ fills for them, rois.png. */
public class Check {
    static final int W = 64, H = 48;
    static ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    static ImageProcessor filled = new ShortProcessor(W, H);
    static int n;
    static void add(ZipOutputStream z, Roi r) throws Exception {
        n++;
        z.putNextEntry(new ZipEntry(String.format("%04d.roi", n)));
        RoiEncoder e = new RoiEncoder(z); e.write(r); z.closeEntry();
        filled.setValue(n); filled.fill(r);
    }
    public static void main(String[] a) throws Exception {
        System.setProperty("java.awt.headless", "true");
        ImagePlus truth = new Opener().openImage(a[0]);
        ImageProcessor t = truth.getProcessor();
        ImagePlus tif = new Opener().openImage(a[2]);
        for (int y = 0; y < t.getHeight(); y++) for (int x = 0; x < t.getWidth(); x++)
            if (tif.getProcessor().get(x, y) != t.get(x, y)) throw new Exception("tif " + x + " " + y);
        System.out.println("ImageJ " + IJ.getVersion() + " tif " + tif.getCalibration().pixelWidth + " " + tif.getCalibration().getUnit()
            + " display " + tif.getDisplayRangeMin() + ".." + tif.getDisplayRangeMax());
        ZipInputStream z = new ZipInputStream(new FileInputStream(a[1]));
        int count = 0, composite = 0;
        for (ZipEntry e; (e = z.getNextEntry()) != null; count++) {
            byte[] data = z.readAllBytes();
            String name = e.getName().replace(".roi", "");
            Roi roi = RoiDecoder.openFromByteArray(data);
            if (!roi.getName().equals(name)) throw new Exception("name " + roi.getName());
            if (roi instanceof ShapeRoi) composite++;
            int label = Integer.parseInt(name);
            ByteProcessor m = new ByteProcessor(t.getWidth(), t.getHeight());
            m.setValue(255); m.fill(roi);
            for (int y = 0; y < t.getHeight(); y++) for (int x = 0; x < t.getWidth(); x++)
                if ((m.get(x, y) != 0) != (t.get(x, y) == label)) throw new Exception("roi " + name + " at " + x + " " + y);
            if (count == 0) System.out.println("properties: " + roi.getProperties());
        }
        System.out.println(count + " regions, " + composite + " composite, every pixel equal");
        ZipOutputStream o = new ZipOutputStream(bytes);
        add(o, new Roi(2, 3, 10, 7));
        add(o, new PolygonRoi(new int[]{20, 30, 25}, new int[]{3, 5, 14}, 3, Roi.POLYGON));
        add(o, new PolygonRoi(new float[]{35.25f, 44.5f, 40.75f, 36f}, new float[]{3.5f, 4.25f, 12.5f, 11f}, 4, Roi.POLYGON));
        add(o, new PolygonRoi(new int[]{3, 12, 12, 8, 8, 3}, new int[]{15, 15, 25, 25, 20, 20}, 6, Roi.TRACED_ROI));
        add(o, new PolygonRoi(new int[]{20, 28, 27, 22}, new int[]{20, 18, 27, 26}, 4, Roi.FREEROI));
        ShapeRoi ring = new ShapeRoi(new Roi(35, 18, 14, 12)).not(new ShapeRoi(new Roi(39, 21, 5, 5)));
        add(o, ring);
        add(o, new ShapeRoi(new Roi(2, 30, 5, 5)).or(new ShapeRoi(new Roi(10, 33, 6, 8))));
        o.putNextEntry(new ZipEntry("line.roi")); new RoiEncoder(o).write(new ij.gui.Line(50, 2, 60, 9)); o.closeEntry();
        o.close();
        try (FileOutputStream f = new FileOutputStream("rois.zip")) { f.write(bytes.toByteArray()); }
        new FileSaver(new ImagePlus("", filled)).saveAsPng("rois.png");
    }
}
