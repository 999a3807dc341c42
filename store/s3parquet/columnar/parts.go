package columnar

import "io"

// A Keeper keeps parts of a file for the next time that they are needed, for a file does not change: what describes it is
// looked at by each scan and fetch, and rows that are fetched lie in pages that were read for the rows before them. It may
// forget what it was given. It is safe for concurrent use.
type Keeper interface {
	// Kept returns n bytes from an offset if it has them. Nobody may change them.
	Kept(off int64, n int) ([]byte, bool)
	// Keep is told of bytes that were read from an offset, which nobody will change: of pages, or of what describes the file.
	Keep(off int64, b []byte, pages bool)
}

// parts reads parts of a file. Its end is at hand, and what a Keeper has.
type parts struct {
	r       io.ReaderAt
	keeper  Keeper // nil keeps nothing
	tail    []byte
	tailOff int64
}

// known returns a part that is in memory.
func (p *parts) known(s span) ([]byte, bool) {
	if s.end < s.off {
		return nil, false // whoever reads it says what is wrong
	}
	if s.off >= p.tailOff && s.end-p.tailOff <= int64(len(p.tail)) {
		return p.tail[s.off-p.tailOff : s.end-p.tailOff], true
	}
	if p.keeper == nil {
		return nil, false
	}
	return p.keeper.Kept(s.off, int(s.end-s.off))
}

// worth says what a part is kept as.
type worth int

const (
	keepNot   worth = iota
	keepEnd         // it describes the file
	keepPages       // pages that may be needed again soon
)

// read returns a part of the file, which nobody may change.
func (p *parts) read(s span, keep worth) ([]byte, error) {
	if b, ok := p.known(s); ok {
		return b, nil
	}
	b := make([]byte, s.end-s.off)
	if err := readAt(p.r, b, s.off); err != nil {
		return nil, err
	}
	if p.keeper != nil && keep != keepNot {
		p.keeper.Keep(s.off, b, keep == keepPages)
	}
	return b, nil
}
