package pipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// slow is a channel in memory that takes a message only when it gets a permit.
type slow struct {
	entered chan struct{} // one for each message that waits for its permit
	permits chan struct{}
	err     error
	mu      sync.Mutex
	sent    []string // level and text of a log message, else the method
}

func (s *slow) OpenMessages(context.Context, json.RawMessage) (MessageWriter, error) { return s, nil }

func (s *slow) WriteMessage(_ context.Context, m *Message) error {
	s.entered <- struct{}{}
	<-s.permits
	if s.err != nil {
		return s.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var p struct{ Message, Level string }
	if err := json.Unmarshal(m.Params, &p); err != nil {
		return err
	}
	s.sent = append(s.sent, strings.TrimSpace(string(m.Method)+" "+p.Level+" "+p.Message))
	return nil
}

func (s *slow) Close() error { return nil }

// openSlow opens a session over a channel that has taken opened and is stuck at a log record.
func openSlow(t *testing.T) (*Session, *slow) {
	t.Helper()
	params, err := EncodeParams(map[string]any{"data": ContextData{AssetKeys: []string{"a"}}})
	if err != nil {
		t.Fatal(err)
	}
	channel := &slow{permits: make(chan struct{}, 1), entered: make(chan struct{}, 1<<16)}
	channel.permits <- struct{}{}
	s, err := Open(t.Context(), &Options{Params: MapParams{ContextVar: params, MessagesVar: params}, Messages: channel})
	if err != nil {
		t.Fatal(err)
	}
	<-channel.entered
	go s.Logger().Info("stuck")
	<-channel.entered
	return s, channel
}

// TestLogDoesNotWait logs while the channel is stuck: one record is in it, the others wait in the queue, and nobody who
// logs waits.
func TestLogDoesNotWait(t *testing.T) {
	t.Parallel()
	s, channel := openSlow(t)
	for i := range 100 {
		s.Logger().Info(fmt.Sprint(i)) // would block the test for good
	}
	reported := make(chan error)
	go func() { reported <- s.Materialize(t.Context(), Materialization{}) }()
	close(channel.permits)
	if err := <-reported; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	want := []string{"opened", "log INFO stuck"}
	for i := range 100 {
		want = append(want, fmt.Sprintf("log INFO %d", i))
	}
	want = append(want, "report_asset_materialization", "closed")
	if got := strings.Join(channel.sent, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("sent:\n%s\nwant the report behind the logs before it", got)
	}
}

// TestDebugIsDroppedWhenTheQueueIsFull fills the queue: debug records are counted, others wait until there is room.
func TestDebugIsDroppedWhenTheQueueIsFull(t *testing.T) {
	t.Parallel()
	s, channel := openSlow(t)
	for range maxQueued {
		s.Logger().Debug("kept")
	}
	for range 5000 {
		s.Logger().Debug("dropped")
	}
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() { s.Logger().Warn("waited") })
	}
	close(channel.permits)
	waiting.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	count := make(map[string]int)
	for _, sent := range channel.sent {
		count[sent]++
	}
	note := "log WARNING 5000 debug records were dropped, since the channel to Dagster is slower than the log"
	for sent, want := range map[string]int{
		"log DEBUG kept": maxQueued, "log DEBUG dropped": 0, "log WARNING waited": 3, note: 1, "log INFO stuck": 1, "closed": 1,
	} {
		if count[sent] != want {
			t.Errorf("%q was sent %d times, want %d", sent, count[sent], want)
		}
	}
	if last := channel.sent[len(channel.sent)-1]; last != "closed" {
		t.Errorf("the last message is %q", last)
	}
}

// TestQueuedRecordsAreCountedWhenLost has the channel fail under a queue.
func TestQueuedRecordsAreCountedWhenLost(t *testing.T) {
	t.Parallel()
	s, channel := openSlow(t)
	for range 20 {
		s.Logger().Info("queued")
	}
	channel.err = errors.New("disk full")
	close(channel.permits)
	err := s.Close()
	if !errors.Is(err, channel.err) || !strings.Contains(err.Error(), "deliver 21 log records or pieces of output") {
		t.Errorf("Close() = %v, want the number of lost records", err)
	}
}

// TestBatchIsOneWrite has the file channel write what has gathered in the queue at once, and count what got through.
func TestBatchIsOneWrite(t *testing.T) {
	t.Parallel()
	m := &Message{Version: ProtocolVersion, Method: MethodCustom, Params: []byte(`{"payload":null}`)}
	line, err := m.Line()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ room, want int }{{1000, 3}, {2 * len(line), 2}, {2*len(line) + 5, 2}, {3, 0}} {
		file := &limited{left: test.room}
		w := &fileWriter{file: file}
		n, err := w.writeBatch([]*Message{m, m, m})
		if n != test.want || (err == nil) != (test.want == 3) {
			t.Errorf("room for %d bytes: %d messages were written, %v; want %d", test.room, n, err, test.want)
		}
		if torn := test.room%len(line) != 0 && test.want < 3; w.torn != torn {
			t.Errorf("room for %d bytes: torn = %t", test.room, w.torn)
		}
	}
	var stream limited
	stream.left = 1 << 20
	many := make([]*Message, 200)
	for i := range many {
		many[i] = m
	}
	n, err := (&streamWriter{NewStreamOutput(&stream)}).writeBatch(many)
	if n != 200 || err != nil || strings.Count(stream.String(), "\n") != 200 {
		t.Errorf("%d messages were written, %v", n, err)
	}
}
