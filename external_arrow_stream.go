package metaxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// arrowStream reads the messages of an Arrow stream for ipc.Reader, which takes every length in them at its word. Here a
// length is taken only as far as bytes arrive, and a message is handed on when all its lengths lie within it.
type arrowStream struct {
	r io.Reader
	// maxBody is how many bytes a body may have, packed and unpacked.
	maxBody int64
	// columns and dictionaries say what the schema asks of a batch of each.
	columns      arrowNeed
	dictionaries map[int64]arrowNeed
}

const (
	// maxArrowMetadata is how many bytes the metadata of a message may have: a schema of 100,000 columns has about 15 MB.
	maxArrowMetadata = 64 << 20
	// arrowContinuation begins each message since version 0.15 of the format.
	arrowContinuation = 0xFFFFFFFF
)

// Retain implements ipc.MessageReader.
func (s *arrowStream) Retain() {}

// Release implements ipc.MessageReader.
func (s *arrowStream) Release() {}

// Message implements ipc.MessageReader. At the end of the stream it returns io.EOF.
func (s *arrowStream) Message() (*ipc.Message, error) {
	n, err := s.metadataLen()
	if err != nil {
		return nil, err
	}
	meta, err := readGrowing(s.r, n)
	if err != nil {
		return nil, fmt.Errorf("read the metadata of a message: %w", err)
	}
	m, err := s.checkMetadata(meta)
	if err != nil {
		return nil, err
	}
	if m.bodyLen < 0 || m.bodyLen > s.maxBody {
		return nil, fmt.Errorf("a message has a body of %d bytes; at most %d are read", m.bodyLen, s.maxBody)
	}
	body, err := readGrowing(s.r, m.bodyLen)
	if err != nil {
		return nil, fmt.Errorf("read the body of a message: %w", err)
	}
	if err := m.checkBuffers(body, s.maxBody); err != nil {
		return nil, err
	}
	return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(body)), nil
}

// metadataLen reads what stands before a message.
func (s *arrowStream) metadataLen() (int64, error) {
	var head [4]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == arrowContinuation {
		if _, err := io.ReadFull(s.r, head[:]); err != nil {
			return 0, noEOF(err)
		}
		n = binary.LittleEndian.Uint32(head[:])
	}
	switch {
	case n == 0:
		return 0, io.EOF
	case n < 8 || n > maxArrowMetadata:
		return 0, fmt.Errorf("a message has metadata of %d bytes; 8 to %d are read", n, maxArrowMetadata)
	}
	return int64(n), nil
}

// noEOF tells an end within a message from one between two.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readGrowing reads n bytes into memory that grows with what has arrived, so that a forged n costs nothing.
func readGrowing(r io.Reader, n int64) ([]byte, error) {
	const first = 16 << 20
	buf := make([]byte, min(n, first))
	for done := 0; ; {
		got, err := io.ReadFull(r, buf[done:])
		if done += got; err != nil {
			return nil, noEOF(err)
		}
		if int64(done) == n {
			return buf, nil
		}
		grown := make([]byte, min(n, 2*int64(done)))
		copy(grown, buf)
		buf = grown
	}
}
