package columnar

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Stats says what was written.
type Stats struct {
	Rows  int64 // in the file
	Bytes int64 // the size of the file
	// EndBytes is how many bytes at the end of the file tell where the rows are: the footer, the places of all pages, and
	// the bounds of those of the columns by which the rows are sorted. See ReadOptions.End.
	EndBytes int64
	// Columns has an entry for each leaf column outside of lists and maps, by its path joined with dots.
	Columns map[string]ColumnStats
}

// ColumnStats describes the values of a leaf column.
type ColumnStats struct {
	// Path is the column and the members that lead to the leaf.
	Path []string
	// Min and Max are the smallest and greatest value: string, int64, float64, bool, time.Time (UTC; a date is its
	// midnight) or json.Number (a decimal). Both are nil when there is none: only nulls, a NaN, binary values.
	Min, Max any
	// NullCount counts the rows in which the leaf or a struct around it is null.
	NullCount int64
}

func joinPath(path []string) string { return strings.Join(path, ".") }

func (l *leafWriter) fileStats() ColumnStats {
	s := ColumnStats{Path: l.path, NullCount: l.file.nulls}
	if l.file.has && !l.file.unordered {
		s.Min, s.Max = statValue(l.t, l.file.min), statValue(l.t, l.file.max)
	}
	return s
}

// statValue turns a PLAIN value into the Go value that stands in ColumnStats.
func statValue(t arrow.DataType, plain []byte) any {
	switch t := t.(type) {
	case *arrow.StringType:
		return string(plain)
	case *arrow.BooleanType:
		return plain[0] != 0
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type:
		return int64(le32(plain, 0))
	case *arrow.Int64Type:
		return le64(plain, 0)
	case *arrow.Float32Type:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(plain)))
	case *arrow.Float64Type:
		return math.Float64frombits(binary.LittleEndian.Uint64(plain))
	case *arrow.Date32Type:
		return time.Unix(int64(le32(plain, 0))*86400, 0).UTC()
	case *arrow.TimestampType:
		return time.UnixMicro(le64(plain, 0)).UTC()
	case *arrow.Decimal128Type:
		return json.Number(decimalOfPlain(plain).ToString(t.Scale))
	}
	return nil
}

func decimalOfPlain(plain []byte) decimal128.Num {
	switch len(plain) {
	case 4:
		return decimal128.FromI64(int64(le32(plain, 0)))
	case 8:
		return decimal128.FromI64(le64(plain, 0))
	}
	n := new(big.Int).SetBytes(plain)
	if plain[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(plain))))
	}
	return decimal128.FromBigInt(n)
}

// bounds are the least and the greatest of some PLAIN values.
type bounds struct {
	has       bool
	unordered bool // there was a NaN, which no order has a place for
	min, max  []byte
	nulls     int64
}

// include widens the bounds to those of other values.
func (b *bounds) include(o *bounds, compare func(x, y []byte) int) {
	b.nulls += o.nulls
	b.unordered = b.unordered || o.unordered
	if !o.has {
		return
	}
	if !b.has || compare(o.min, b.min) < 0 {
		b.min = append(b.min[:0], o.min...)
	}
	if !b.has || compare(o.max, b.max) > 0 {
		b.max = append(b.max[:0], o.max...)
	}
	b.has = true
}

// clone returns a copy in memory of its own.
func (b *bounds) clone() bounds {
	c := *b
	c.min, c.max = slices.Clone(b.min), slices.Clone(b.max)
	return c
}

// reset forgets the values; the memory is used again.
func (b *bounds) reset() { *b = bounds{min: b.min[:0], max: b.max[:0]} }

// maxBound is how long a bound may be in statistics. A longer one is cut, and then only bounds.
const maxBound = 64

// lowerBound returns a value of bounded length that is not greater.
func lowerBound(t arrow.DataType, v []byte) []byte {
	if !isBytes(t) || len(v) <= maxBound {
		return v
	}
	return cutValue(t, v)
}

// upperBound returns a value, of bounded length if there is one, that is not less.
func upperBound(t arrow.DataType, v []byte) []byte {
	if !isBytes(t) || len(v) <= maxBound {
		return v
	}
	cut := []rune(string(cutValue(t, v)))
	if t.ID() == arrow.BINARY {
		return incrementBytes(v)
	}
	for i := len(cut) - 1; i >= 0; i-- {
		switch next := cut[i] + 1; {
		case next > '\U0010FFFF':
			continue
		case next >= 0xD800 && next <= 0xDFFF: // not characters
			cut[i] = 0xE000
		default:
			cut[i] = next
		}
		return []byte(string(cut[:i+1]))
	}
	return v
}

// cutValue cuts to maxBound bytes, strings between characters.
func cutValue(t arrow.DataType, v []byte) []byte {
	n := maxBound
	if t.ID() == arrow.STRING {
		for n > 0 && v[n]&0xC0 == 0x80 {
			n--
		}
	}
	return v[:n]
}

func incrementBytes(v []byte) []byte {
	cut := append([]byte(nil), v[:maxBound]...)
	for i := len(cut) - 1; i >= 0; i-- {
		if cut[i] < 0xFF {
			cut[i]++
			return cut[:i+1]
		}
	}
	return v
}

func isBytes(t arrow.DataType) bool { return t.ID() == arrow.STRING || t.ID() == arrow.BINARY }
