// A mail server made of go-smtp, run as a program: ADDRESS HOST_NAME DIRECTORY.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/emersion/go-smtp"
)

var atRcpt = map[string]*smtp.SMTPError{
	"nouser":   {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"},
	"tempfail": {Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later"},
	"full":     {Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox full"},
}

// The library answers DATA itself: a refusal of it cannot be had but after the content.
var atContent = map[string]*smtp.SMTPError{
	"rejectdata": {Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "no data wanted"},
	"rejectdot":  {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "content refused"},
	"deferdot":   {Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "content deferred"},
}

var directory string
var number int64

type session struct{ refusal *smtp.SMTPError }

func (s *session) Reset()                                            { s.refusal = nil }
func (s *session) Logout() error                                     { return nil }
func (s *session) Mail(from string, options *smtp.MailOptions) error { return nil }

func (s *session) Rcpt(to string, options *smtp.RcptOptions) error {
	name, _, _ := strings.Cut(to, "@")
	if refusal := atRcpt[name]; refusal != nil {
		return refusal
	}
	if refusal := atContent[name]; refusal != nil {
		s.refusal = refusal
	}
	return nil
}

func (s *session) Data(content io.Reader) error {
	octets, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	if s.refusal != nil {
		return s.refusal
	}
	unfinished := filepath.Join(directory, fmt.Sprintf("%d.part", atomic.AddInt64(&number, 1)))
	if err := os.WriteFile(unfinished, octets, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, strings.TrimSuffix(unfinished, ".part")+".eml")
}

func main() {
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{}, nil }))
	server.Addr, server.Domain, directory = os.Args[1], os.Args[2], os.Args[3]
	server.MaxMessageBytes, server.MaxRecipients = 50_000_000, 100
	server.EnableSMTPUTF8, server.EnableBINARYMIME, server.EnableDSN = true, true, true
	log.Fatal(server.ListenAndServe())
}
