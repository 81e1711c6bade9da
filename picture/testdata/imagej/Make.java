// Makes the TIFF files of this folder as ImageJ saves them. With the jar of net.imagej:ij 1.54f from
// Maven Central:
//
//	java -Djava.awt.headless=true -cp ij-1.54f.jar Make.java
//
// A sample is 4000·c + 1000·z + 300·t + 10·y + x, all from 0; of 8 bits it is c + z + t + 10·y + x.
import ij.CompositeImage;
import ij.IJ;
import ij.ImagePlus;
import ij.ImageStack;
import ij.io.FileSaver;
import ij.measure.Calibration;
import ij.process.*;

public class Make {
    static final int W = 9, H = 7;

    static ImagePlus stack(int bits, int channels, int slices, int frames, String[] names) {
        ImageStack s = new ImageStack(W, H);
        for (int t = 0; t < frames; t++)
            for (int z = 0; z < slices; z++)
                for (int c = 0; c < channels; c++) {
                    ImageProcessor p = bits == 8 ? new ByteProcessor(W, H) : bits == 16 ? new ShortProcessor(W, H) : new FloatProcessor(W, H);
                    for (int y = 0; y < H; y++)
                        for (int x = 0; x < W; x++)
                            p.setf(x, y, bits == 8 ? c + z + t + 10 * y + x : 4000 * c + 1000 * z + 300 * t + 10 * y + x);
                    s.addSlice(names == null ? null : names[c] + (slices > 1 ? "\nz " + z : ""), p);
                }
        ImagePlus i = new ImagePlus("drawn", s);
        i.setDimensions(channels, slices, frames);
        Calibration cal = i.getCalibration();
        cal.setUnit("um");
        cal.pixelWidth = cal.pixelHeight = 0.25;
        i.setOpenAsHyperStack(true);
        return channels > 1 ? new CompositeImage(i, CompositeImage.COMPOSITE) : i;
    }

    static void save(ImagePlus i, String name) {
        FileSaver f = new FileSaver(i);
        if (!(i.getStackSize() > 1 ? f.saveAsTiffStack(name) : f.saveAsTiff(name)))
            throw new RuntimeException(name);
    }

    public static void main(String[] args) {
        String[] names = {"DAPI", "anti-Tubulin"};
        save(stack(16, 2, 3, 2, names), "hyperstack16.tif");
        save(stack(8, 2, 1, 3, names), "times8.tif");
        save(stack(32, 1, 3, 1, null), "slices32.tif");
        save(stack(16, 2, 2, 1, new String[] {"c:1/2 z:1/2 - a.nd2", "c:2/2 z:1/2 - a.nd2"}), "same_names.tif");
        save(stack(16, 1, 1, 1, null), "single16.tif");
        ImagePlus rgb = new ImagePlus("rgb", new ColorProcessor(W, H));
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                rgb.getProcessor().putPixel(x, y, (10 * y + x) << 16 | x << 8 | y);
        save(rgb, "rgb.tif");
        ImagePlus lut = stack(8, 1, 1, 1, null);
        lut.getProcessor().invertLut(); // shown inverted, and saved as white is zero
        save(lut, "inverted8.tif");
        IJ.log("done");
    }
}
