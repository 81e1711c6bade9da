package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// decoded is an event as a reader of event files has it. What event.proto has besides
// is an error here.
type decoded struct {
	wall    float64
	step    int64
	version string
	start   bool
	values  []decodedValue
}

type decodedValue struct {
	tag   string
	value float32
}

var errTorn = errors.New("torn record")

// readRecords reads a TFRecord file; errTorn comes with the records before the torn one.
func readRecords(r io.Reader) (records [][]byte, err error) {
	table := crc32.MakeTable(0x82f63b78) // the polynomial of CRC-32C, reversed
	check := func(data, want []byte) error {
		sum := crc32.Update(0, table, data)
		if masked := ((sum >> 15) | (sum << 17)) + 0xa282ead8; masked != binary.LittleEndian.Uint32(want) {
			return fmt.Errorf("checksum %#x of %d bytes, want %#x", masked, len(data), want)
		}
		return nil
	}
	for {
		header := make([]byte, 12)
		switch _, err := io.ReadFull(r, header); {
		case errors.Is(err, io.EOF):
			return records, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return records, errTorn
		}
		if err := check(header[:8], header[8:]); err != nil {
			return records, err
		}
		n := binary.LittleEndian.Uint64(header)
		if n > 1<<20 {
			return records, fmt.Errorf("a record of %d bytes", n)
		}
		body := make([]byte, n+4)
		if _, err := io.ReadFull(r, body); err != nil {
			return records, errTorn
		}
		if err := check(body[:n], body[n:]); err != nil {
			return records, err
		}
		records = append(records, body[:n])
	}
}

// fields calls visit for each field of a protocol buffer message: number, wire type and
// the value of types 0, 1 and 5 or the bytes of type 2.
func fields(message []byte, visit func(number, wire int, v uint64, data []byte) error) error {
	varint := func() (uint64, error) {
		v, n := binary.Uvarint(message)
		if n <= 0 {
			return 0, errors.New("bad varint")
		}
		message = message[n:]
		return v, nil
	}
	for len(message) > 0 {
		key, err := varint()
		if err != nil {
			return err
		}
		var v uint64
		var data []byte
		size := map[uint64]int{1: 8, 5: 4}[key&7]
		switch key & 7 {
		case 0:
			if v, err = varint(); err != nil {
				return err
			}
		case 2:
			n, err := varint()
			if err != nil || n > uint64(len(message)) {
				return fmt.Errorf("bad length %d of field %d", n, key>>3)
			}
			data, message = message[:n], message[n:]
		case 1, 5:
			if len(message) < size {
				return errors.New("short number")
			}
			for i, b := range message[:size] {
				v |= uint64(b) << (8 * i)
			}
			message = message[size:]
		default:
			return fmt.Errorf("wire type %d", key&7)
		}
		if err := visit(int(key>>3), int(key&7), v, data); err != nil {
			return err
		}
	}
	return nil
}

func decodeEvent(message []byte) (e decoded, err error) {
	err = fields(message, func(number, wire int, v uint64, data []byte) error {
		switch [2]int{number, wire} {
		case [2]int{1, 1}:
			e.wall = math.Float64frombits(v)
		case [2]int{2, 0}:
			e.step = int64(v)
		case [2]int{3, 2}:
			e.version = string(data)
		case [2]int{5, 2}:
			return fields(data, func(number, wire int, _ uint64, data []byte) error {
				if number != 1 || wire != 2 {
					return fmt.Errorf("field %d of a summary", number)
				}
				var d decodedValue
				err := fields(data, func(number, wire int, v uint64, data []byte) error {
					switch [2]int{number, wire} {
					case [2]int{1, 2}:
						d.tag = string(data)
					case [2]int{2, 5}:
						d.value = math.Float32frombits(uint32(v))
					default:
						return fmt.Errorf("field %d of a value", number)
					}
					return nil
				})
				e.values = append(e.values, d)
				return err
			})
		case [2]int{7, 2}:
			return fields(data, func(number, wire int, v uint64, _ []byte) error {
				if number != 1 || wire != 0 || v != 1 {
					return fmt.Errorf("field %d of a session log is %d", number, v)
				}
				e.start = true
				return nil
			})
		default:
			return fmt.Errorf("field %d of wire type %d in an event", number, wire)
		}
		return nil
	})
	return e, err
}

// tensorBoard is what TensorBoard shows of a folder: it reads the event files in the order
// of their names, each up to a torn record, and at the START of each session but the
// first drops the points of its step and later.
func tensorBoard(t *testing.T, folder string) map[string][]Point {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*tfevents*"))
	require.NoError(t, err)
	slices.Sort(paths)
	shown := map[string][]Point{}
	started := false
	for _, path := range paths {
		f, err := os.Open(path)
		require.NoError(t, err)
		records, err := readRecords(f)
		require.NoError(t, f.Close())
		if !errors.Is(err, errTorn) {
			require.NoError(t, err, path)
		}
		for i, r := range records {
			e, err := decodeEvent(r)
			require.NoError(t, err, "%s, record %d", path, i)
			require.Equal(t, i == 0, e.version != "", "the version comes first")
			require.Equal(t, i == 1, e.start, "the session's start comes second")
			if e.start && started {
				for tag, points := range shown {
					shown[tag] = slices.DeleteFunc(points, func(p Point) bool { return int64(p.Step) >= e.step })
				}
			}
			started = started || e.start
			for _, v := range e.values {
				require.True(t, strings.Contains(v.tag, "/"), v.tag)
				shown[v.tag] = append(shown[v.tag], Point{Step: int(e.step), Value: float64(v.value)})
			}
		}
	}
	return shown
}
