"""ftp_many.py ADDRESS PORT N : N FTP sessions at once, all logged in before the first transfers.

Each fetches `small` by PASV and by PORT, by turns stores a file of its own in `incoming` and reads it
back. Prints how many did and the first error of the others; status 1 if there are any."""
import ftplib
import io
import sys
import threading

address, port, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
PATIENCE = 180
all_in = threading.Barrier(n)
door = threading.Semaphore(16)  # vsftpd's backlog is 32, and who falls out of it waits for a banner in vain
errors, done = [], []


def fetch(ftp, name):
    got = io.BytesIO()
    ftp.retrbinary("RETR " + name, got.write)
    return got.getvalue()


def session(i):
    try:
        ftp = ftplib.FTP(timeout=PATIENCE)
        with door:
            ftp.connect(address, port)
            ftp.login()
        all_in.wait(PATIENCE)
        for passive in (i % 2, 1 - i % 2):
            ftp.set_pasv(passive)
            if fetch(ftp, "small") != b"the file behind the router\n":
                raise ValueError("another file")
            if i % 4 == passive:
                text = b"session %d\n" % i * 5000
                ftp.storbinary("STOR incoming/many%d" % i, io.BytesIO(text))
                if fetch(ftp, "incoming/many%d" % i) != text:
                    raise ValueError("another file than was stored")
        ftp.quit()
        done.append(i)
    except Exception as e:
        all_in.abort()
        errors.append("session %d: %s: %s" % (i, type(e).__name__, e))


threads = [threading.Thread(target=session, args=(i,)) for i in range(n)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("%d of %d" % (len(done), n))
if errors:
    sys.exit("\n".join(errors[:5]))
