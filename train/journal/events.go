package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// TensorBoard reads the files of a folder whose names have this in them, in the order of
// their names.
const eventsPrefix = "events.out.tfevents."

// openEvents begins an event file after all others of the folder, with the START of a
// session: at each but the first, TensorBoard drops the points it has of this step and later.
func openEvents(folder string, step int, now time.Time) (*file, error) {
	seconds := now.Unix()
	old, err := os.ReadDir(folder)
	if err != nil {
		return nil, wrap(err)
	}
	for _, entry := range old {
		if rest, ok := strings.CutPrefix(entry.Name(), eventsPrefix); ok {
			begun, _, _ := strings.Cut(rest, ".")
			if s, err := strconv.ParseInt(begun, 10, 64); err == nil && s >= seconds && s < 9_999_999_999 {
				seconds = s + 1 // a restart within the second, or a clock that was set back
			}
		}
	}
	path := filepath.Join(folder, fmt.Sprintf("%s%010d.diffusioninst", eventsPrefix, seconds))
	f, err := openFile(path, os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if err := f.append(append(record(fileVersion(now)), record(sessionStart(step, now))...)); err != nil {
		return nil, errors.Join(err, f.close(), os.Remove(path))
	}
	return f, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record frames data as a TFRecord: length, checksum of the length, data, checksum of the data.
func record(data []byte) []byte {
	out := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+16), uint64(len(data)))
	out = binary.LittleEndian.AppendUint32(out, maskedCRC(out))
	out = append(out, data...)
	return binary.LittleEndian.AppendUint32(out, maskedCRC(data))
}

// maskedCRC is the checksum of TFRecord, which is masked so that the checksum of data
// that contains checksums stays a good one.
func maskedCRC(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// Numbers of the fields in TensorFlow's event.proto and summary.proto.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	sessionLogStatus = 1 // enum, of which START is 1
	statusStart      = 1

	summaryValue     = 1 // repeated Value
	valueTag         = 1 // string
	valueSimpleValue = 2 // float
)

// fileVersion is the first event of a file.
func fileVersion(at time.Time) []byte {
	return appendBytes(event(0, at), eventFileVersion, []byte("brain.Event:2"))
}

func sessionStart(step int, at time.Time) []byte {
	return appendBytes(event(step, at), eventSessionLog, appendVarint(nil, sessionLogStatus, statusStart))
}

func summary(step int, at time.Time, table string, values []Scalar) []byte {
	var all []byte
	for _, v := range values {
		value := appendBytes(nil, valueTag, []byte(table+"/"+v.Name))
		value = binary.AppendUvarint(value, valueSimpleValue<<3|5)
		value = binary.LittleEndian.AppendUint32(value, math.Float32bits(float32(v.Value)))
		all = appendBytes(all, summaryValue, value)
	}
	return appendBytes(event(step, at), eventSummary, all)
}

// event is the part that all events have. Protocol buffers leave zeros out.
func event(step int, at time.Time) []byte {
	out := binary.AppendUvarint(nil, eventWallTime<<3|1)
	out = binary.LittleEndian.AppendUint64(out, math.Float64bits(float64(at.UnixMicro())/1e6))
	if step == 0 {
		return out
	}
	return appendVarint(out, eventStep, uint64(step))
}

func appendVarint(out []byte, field, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(out, field<<3), v)
}

func appendBytes(out []byte, field uint64, data []byte) []byte {
	out = binary.AppendUvarint(out, field<<3|2)
	return append(binary.AppendUvarint(out, uint64(len(data))), data...)
}
