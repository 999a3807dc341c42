package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// run calls ffmpeg and returns what it wrote to stderr.
func (s studio) run(ctx context.Context, args ...string) (string, error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, s.ffmpeg, append([]string{"-nostdin", "-hide_banner", "-y"}, args...)...)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return "", ffmpegError(err, said.String())
	}
	return said.String(), nil
}

// stream calls ffmpeg and hands its stdout to read. ffmpeg is stopped if read fails.
func (s studio) stream(ctx context.Context, read func(io.Reader) error, args ...string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, s.ffmpeg, append([]string{"-nostdin", "-v", "error"}, args...)...)
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return ffmpegError(err, "")
	}
	if err := read(out); err != nil {
		stop()
		_ = cmd.Wait()
		return err
	}
	if err := cmd.Wait(); err != nil {
		return ffmpegError(err, said.String())
	}
	return nil
}

// ffmpegError adds the last line that ffmpeg said, which is where it names the problem.
func ffmpegError(err error, said string) error {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return fmt.Errorf("ffmpeg: %w: %s", err, last)
	}
	return fmt.Errorf("ffmpeg: %w", err)
}
