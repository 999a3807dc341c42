package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
)

// maxThriftDepth is far more than the format's own messages nest.
const maxThriftDepth = 32

// errTruncated reports a message that goes on after the bytes at hand.
var errTruncated = fmt.Errorf("message is cut off: %w", io.ErrUnexpectedEOF)

// decodeThrift decodes the message at the start of b and returns its length. The decoder of parquet-go allocates what
// lists claim to have, so the message is walked first and may not claim more than there are bytes for.
func decodeThrift(b []byte, v any) (n int, err error) {
	defer recoverCorrupt(&err)
	w := thriftWalk{b: b}
	if err := w.structure(0); err != nil {
		return 0, err
	}
	r := new(thrift.CompactProtocol).NewReaderFromBytes(b[:w.pos])
	if err := thrift.NewDecoder(r).Decode(v); err != nil {
		return 0, err
	}
	return w.pos, nil
}

// encodeThrift is the inverse of decodeThrift.
func encodeThrift(v any) ([]byte, error) {
	return thrift.Marshal(new(thrift.CompactProtocol), v)
}

// thriftWalk steps over a message of the compact protocol without decoding it.
type thriftWalk struct {
	b   []byte
	pos int
}

func (w *thriftWalk) structure(depth int) error {
	if depth > maxThriftDepth {
		return errors.New("message nests too deeply")
	}
	for {
		head, err := w.byte()
		if err != nil || head == 0 {
			return err
		}
		if head>>4 == 0 { // a field number of its own, not a distance from the last one
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if err := w.value(thrift.Type(head&15), depth, false); err != nil {
			return err
		}
	}
}

func (w *thriftWalk) value(t thrift.Type, depth int, element bool) error {
	switch t {
	case thrift.TRUE, thrift.BOOL: // a field's boolean is its type
		if element {
			return w.skip(1)
		}
		return nil
	case thrift.I8:
		return w.skip(1)
	case thrift.I16, thrift.I32, thrift.I64:
		_, err := w.varint()
		return err
	case thrift.DOUBLE:
		return w.skip(8)
	case thrift.BINARY:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thrift.LIST, thrift.SET:
		return w.list(depth)
	case thrift.STRUCT:
		return w.structure(depth + 1)
	}
	return fmt.Errorf("message has a field of type %d", t)
}

func (w *thriftWalk) list(depth int) error {
	head, err := w.byte()
	if err != nil {
		return err
	}
	size, elem := uint64(head>>4), thrift.Type(head&15)
	if size == 15 {
		if size, err = w.varint(); err != nil {
			return err
		}
	}
	least := uint64(1)
	if elem == thrift.STRUCT {
		least = 3 // no message of the format that stands in lists is shorter
	}
	if size > uint64(len(w.b)-w.pos)/least {
		return errTruncated
	}
	for range size {
		if err := w.value(elem, depth, true); err != nil {
			return err
		}
	}
	return nil
}

func (w *thriftWalk) byte() (byte, error) {
	if w.pos >= len(w.b) {
		return 0, errTruncated
	}
	w.pos++
	return w.b[w.pos-1], nil
}

func (w *thriftWalk) skip(n uint64) error {
	if n > uint64(len(w.b)-w.pos) {
		return errTruncated
	}
	w.pos += int(n)
	return nil
}

func (w *thriftWalk) varint() (uint64, error) {
	v, n := binary.Uvarint(w.b[w.pos:])
	if n == 0 {
		return 0, errTruncated
	}
	if n < 0 {
		return 0, errors.New("message has a number of more than 64 bits")
	}
	w.pos += n
	return v, nil
}
