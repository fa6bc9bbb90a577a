# A CPU is enough. Built and run, it does what `make demo` does:
#     docker build -t chainer-zoo . && docker run --rm chainer-zoo
# Any other command follows the name, and what it leaves is kept in a folder of the host:
#     docker run --rm -v "$PWD/results:/chainer_zoo/results" chainer-zoo \
#         chainer-zoo train resnext -d 4 -b 32 --dataset shapes -e 1
FROM python:3.13-slim

# make, and GNU OpenMP for oneDNN
RUN apt-get update \
    && apt-get install -y --no-install-recommends make libgomp1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /chainer_zoo
COPY . .
RUN make install
ENV PATH="/chainer_zoo/.venv/bin:$PATH"
CMD ["make", "demo"]
